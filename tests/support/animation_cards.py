"""Checkpoint metadata of an animation system with distinct scores, which identify their cells in a card."""

from __future__ import annotations

from typing import Any

RUN = {
    "model": {"name": "toy"},
    "stage": 1,
    "steps": 7,
    "clips": 3,
    "minutes": 1.5,
    "date": "2026-01-02",
    "machine": "abacus",
    "recipe": {},
}
NAMES = (
    "clip_psnr_db",
    "clip_psnr_repeat_db",
    "psnr_gain_db",
    "keypoints",
    "keypoints_repeat",
    "keypoints_truth",
    "keypoints_skeleton",
    "psnr_db",
    "psnr_repeat_db",
)


def scores(first: float) -> dict[str, float]:
    """Scores of a setting: `first`, `first` + 1, …"""
    return {name: first + index for index, name in enumerate(NAMES)} | {"pairs": 17.0, "short_side_px": 16.0}


def metadata() -> dict[str, Any]:
    """Metadata of one run, with scores from 0, 100 and 200 on in the settings that every card has."""
    return {
        "runs": [RUN],
        "scores": {"exact": scores(0), "retargeted": scores(100), "anthropomorphic": scores(200)},
    }
