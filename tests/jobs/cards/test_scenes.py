from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from animation_cards import RUN

from jobs.cards.animation import CardText, write_card
from models.common.checkpoint import save_checkpoint

NAMES = (
    "clip_psnr_db",
    "gain_over_paste_db",
    "gain_over_animate_anyone_db",
    "clip_psnr_paste_db",
    "clip_psnr_animate_anyone_db",
    "clip_psnr_driving_db",
    "object_psnr_db",
    "object_psnr_paste_db",
    "seen_object_psnr_db",
    "scenery_psnr_db",
    "leakage",
    "leakage_exact_masks",
    "clip_psnr_exact_masks_db",
    "keypoints",
    "keypoints_truth",
    "keypoints_skeleton",
    "clip_psnr_placed_truth_db",
)
TEXT = CardText(
    title="Thing", command="make", corpus="dots", promised={"leakage": "low"}, comparison="Mind the exact masks."
)


def scores(first: float) -> dict[str, float]:
    """Scores of a setting: `first`, `first` + 1, …"""
    return {name: first + index for index, name in enumerate(NAMES)} | {
        "pairs": 17.0,
        "refused_pairs": 1.0,
        "short_side_px": 16.0,
    }


def card(folder: Path, **about: Any) -> str:
    path = folder / "network.safetensors"
    found = {"scene-exact": scores(0), "scene-detected": scores(100)}
    save_checkpoint({"weight": torch.zeros(1)}, path, metadata={"runs": [RUN], "scores": found, **about})
    write_card(path, TEXT)
    return (folder / "CARD.md").read_text(encoding="utf-8")


def test_card_has_scores_of_scenes_beside_their_targets(tmp_path: Path) -> None:
    text = card(tmp_path)
    assert text.startswith("# Thing, trained on puppets")
    assert "at 16 pixels" in text
    assert "(pairs: *scene-exact*: 17, *scene-detected*: 17; 2 more were refused)" in text
    assert "| score | target | scene-exact | scene-detected |" in text
    assert "| PSNR of whole frames, dB |  | 0.00 | 100.00 |" in text
    assert "| shape leakage | low | 10.00 | 110.00 |" in text
    assert "](contact-sheet.webp)" in text
    assert text.endswith("Licence: Apache-2.0, like the project.\n")
    assert "## Comparison" not in text
    assert len([line for line in text.splitlines() if line.endswith("00 |")]) == len(NAMES)


def test_comparison_has_a_row_per_run_and_per_peer(tmp_path: Path) -> None:
    found = {"scene-exact": scores(0), "scene-detected": scores(100)}
    run = {"name": "this checkpoint", "training": "toy 14", "clips": 3, "scores": found}
    other = {**run, "name": "exact masks", "scores": {name: scores(200) for name in found}}
    text = card(tmp_path, comparison=[run, other])
    assert "Mind the exact masks." in text
    heads = (
        "| scene-exact: PSNR, dB | scene-exact: objects, dB | scene-exact: leakage | scene-exact: leakage, exact masks"
    )
    assert heads in text
    numbers = "0.00 | 6.00 | 10.00 | 11.00 | 13.00 | 100.00 | 106.00 | 110.00 | 111.00 | 113.00 |"
    assert f"| this checkpoint | toy 14 | 3 | {numbers}" in text
    assert "| exact masks | toy 14 | 3 | 200.00 | 206.00 |" in text
    assert "| the paste |  |  | 3.00 | 7.00 |  |  |  | 103.00 | 107.00 |  |  |  |" in text
    assert "| the true frames |  |  |  |  |  |  | 14.00 |" in text


def test_a_score_that_no_pair_has_leaves_its_cell_empty(tmp_path: Path) -> None:
    without = scores(0)
    del without["object_psnr_db"]
    text = card(tmp_path, scores={"scene-exact": without, "scene-detected": scores(100)})
    assert "| PSNR of the objects' pixels, dB |  |  | 106.00 |" in text
