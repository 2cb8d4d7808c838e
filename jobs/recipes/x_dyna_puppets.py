"""Recipe of the small X-Dyna, trained on a CPU."""

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
    "loss": {
        "noise_offset": 0.0,
        "snr_gamma": None,
        "timestep_shift": 4.0,
        "condition_dropout": 0.0,
        # A face is a few latents high: without this, expressions hardly change the loss.
        "face_weight": 30.0,
    },
    "sampling": {
        "height_px": 192,
        "width_px": 144,
        "num_frames": 8,
        "sample_margin": 0,
        "mirror_share": 0.5,
        "scenery_share": 0.25,
        "face_control": True,
    },
}


def _defaults(stage: int, network: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG001
    return _RECIPE


RECIPE = SystemRecipe(
    defaults=_defaults,
    card=CardText(
        title="X-Dyna",
        command="zoetrope train x-dyna-puppets",
        corpus="puppet videos drawn by `zoetrope puppets --portraits` and `--scenery` (with `data.truth`, faces of "
        "`twins`, and begun from the small Animate Anyone with `model.partial_start`, whose runs are listed too)",
        promised={
            "expression_gain": "≥ 0.30",
            "character_gain_db": "≥ −0.5",
            "scenery_motion_share": "0.7 to 1.3",
            "scenery_motion_share_compared": "near 0",
        },
        comparison="In the first run of X-Dyna, which ended after 400 steps, the twins of `data.faces` stood in the "
        "scenery of their portraits, which the face box shows; later they stood in other scenery. The first two runs "
        "do not weigh eyes and mouth (`loss.face_weight`).",
    ),
)
