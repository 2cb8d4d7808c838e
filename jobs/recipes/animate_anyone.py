"""Recipe of Animate Anyone, as in the public training code of Moore-AnimateAnyone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.recipes.recipe import SystemRecipe

_STAGES: Mapping[int, Mapping[str, Any]] = {
    1: {
        "steps": 30_000,
        "batch_size": 4,
        "precision": "bfloat16",
        "gradient_checkpointing": True,
        "sampling": {"height_px": 768, "width_px": 768, "num_frames": 1, "sample_margin": 30, "min_crop_share": 0.9},
    },
    2: {
        "steps": 10_000,
        "batch_size": 4,
        "precision": "bfloat16",
        "gradient_checkpointing": True,
        "sampling": {"height_px": 512, "width_px": 512, "num_frames": 24, "frame_step": 4, "sample_margin": 0},
    },
}


def _defaults(stage: int, network: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG001
    return _STAGES.get(stage, {})


RECIPE = SystemRecipe(defaults=_defaults)
