"""Recipe of Animate Anyone 2, as far as its paper states it (arXiv 2502.06145, §4.1).

Stated: clips of 16 frames, batches of 8, 100,000 steps, a reference from the whole sequence, one crop for all frames.
Not stated are size, learning rate and dropout, which are those of Animate Anyone's public training code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.recipes.recipe import SystemRecipe

_RECIPE: Mapping[str, Any] = {
    "steps": 100_000,
    "batch_size": 8,
    "precision": "bfloat16",
    "gradient_checkpointing": True,
    "sampling": {
        "height_px": 512,
        "width_px": 512,
        "num_frames": 16,
        "sample_margin": 0,
        "min_crop_share": 0.9,
        "scene": {"known_share": 0.1},
    },
}


def _defaults(stage: int, network: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG001
    return _RECIPE


RECIPE = SystemRecipe(defaults=_defaults)
