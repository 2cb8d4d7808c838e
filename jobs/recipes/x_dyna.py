"""Recipe of X-Dyna, as far as its paper states it (arXiv 2501.10021, §4.1); no training code is public.

Stated: two stages, of 5 epochs on people and scenery and of 2 epochs on people alone; the plain loss on the predicted
noise. Implied by the public inference code: clips of 16 frames, every second of a video. Not stated, and here: the
share of scenery (half), size and dropout (those of the inference code, and the usual tenth for guidance), batches and
learning rate (those of Animate Anyone's public training code, which are also ControlNet's). The size of the corpus is
not public either: `steps` reads 5 and 2 epochs as those of 20,000 clips; for another corpus it is
epochs x clips / `batch_size`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.recipes.recipe import SystemRecipe

_COMMON: Mapping[str, Any] = {
    "batch_size": 4,
    "precision": "bfloat16",
    "gradient_checkpointing": True,
    "loss": {"noise_offset": 0.0, "snr_gamma": None},
}
_SAMPLING: Mapping[str, Any] = {
    "height_px": 896,
    "width_px": 512,
    "num_frames": 16,
    "frame_step": 2,
    "sample_margin": 0,
}
_STAGES: Mapping[int, Mapping[str, Any]] = {
    1: {**_COMMON, "steps": 25_000, "sampling": {**_SAMPLING, "scenery_share": 0.5}},
    2: {**_COMMON, "steps": 10_000, "sampling": {**_SAMPLING, "scenery_share": 0.0, "face_control": True}},
}


def _defaults(stage: int, network: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG001
    return _STAGES.get(stage, {})


RECIPE = SystemRecipe(defaults=_defaults)
