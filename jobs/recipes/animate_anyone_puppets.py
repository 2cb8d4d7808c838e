"""Recipe of the small Animate Anyone, trained from random weights on a CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.cards.animation import CardText
from jobs.recipes.recipe import SystemRecipe

_COMMON: Mapping[str, Any] = {
    "ema_decay": 0.998,
    "precision": "auto",
    "optimizer": {"name": "muon", "learning_rate": 3e-3, "warmup_steps": 100, "decay": "cosine"},
    # The noisiest steps decide where the character is.
    "loss": {"noise_offset": 0.0, "snr_gamma": None, "timestep_shift": 8.0, "condition_dropout": 0.05},
}
_STAGES: Mapping[int, Mapping[str, Any]] = {
    1: {
        **_COMMON,
        "steps": 12_000,
        "batch_size": 8,
        # Frames that share a reference share its pass through the ReferenceNet.
        "sampling": {"height_px": 192, "width_px": 144, "num_frames": 4, "frame_step": 3, "sample_margin": 1},
    },
    2: {
        **_COMMON,
        "steps": 2_000,
        "batch_size": 2,
        "sampling": {"height_px": 192, "width_px": 144, "num_frames": 16, "sample_margin": 0},
    },
}


def _defaults(stage: int, network: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG001
    return _STAGES.get(stage, {})


RECIPE = SystemRecipe(
    defaults=_defaults,
    card=CardText(
        title="Animate Anyone",
        command="zoetrope train animate-anyone-puppets",
        corpus="puppet videos drawn by `zoetrope puppets`: people in the last runs (`--only-humans --alone`; in the "
        "last two with ground-truth keypoints, `data.truth`), characters of any kind before",
        promised={"psnr_gain_db": "3", "keypoints": "0.80"},
    ),
)
