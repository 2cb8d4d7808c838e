"""Recipe of the small Animate Anyone 2, trained on a CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.cards.animation import CardText
from jobs.recipes.recipe import SystemRecipe

_RECIPE: Mapping[str, Any] = {
    "steps": 1_500,
    "batch_size": 4,
    "ema_decay": 0.998,
    "precision": "auto",
    "optimizer": {"name": "muon", "learning_rate": 2e-3, "warmup_steps": 50, "decay": "cosine"},
    # The noisiest steps decide where the character is.
    "loss": {"noise_offset": 0.0, "snr_gamma": None, "timestep_shift": 8.0, "condition_dropout": 0.0},
    "sampling": {
        "height_px": 192,
        "width_px": 144,
        "num_frames": 8,
        "frame_step": 2,
        "sample_margin": 0,
        "mirror_share": 0.5,
        "scene": {"known_share": 0.1},
    },
}


def _defaults(stage: int, network: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG001
    return _RECIPE


RECIPE = SystemRecipe(
    defaults=_defaults,
    card=CardText(
        title="Animate Anyone 2",
        command="zoetrope train animate-anyone-2-puppets",
        corpus="puppet videos drawn by `zoetrope puppets --interacting` (with `data.truth`, and begun from the small "
        "Animate Anyone with `model.partial_start`, whose runs are listed too)",
        promised={
            "gain_over_paste_db": "≥ 3",
            "gain_over_animate_anyone_db": "≥ 3",
            "object_psnr_db": "≥ 24",
            "leakage": "below that with exact masks",
        },
        comparison="The three runs share their first 1,620 steps and differ in the last 120 only. Visible pixels of "
        "objects are those of the driving video, so that it hardly shows how the network reads objects. A run that was "
        "trained on exact masks never saw shape-agnostic ones: its leakage is the one with exact masks.",
    ),
)
