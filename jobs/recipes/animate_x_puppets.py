"""Recipe of the small Animate-X, trained on a CPU. Ablations are those of `jobs.recipes.animate_x`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.cards.animation import CardText
from jobs.recipes.recipe import SystemRecipe

_DEFAULTS: Mapping[str, Any] = {
    "steps": 12_000,
    "batch_size": 4,
    "ema_decay": 0.999,
    "precision": "auto",
    "optimizer": {"name": "muon", "learning_rate": 3e-3, "warmup_steps": 100, "decay": "cosine"},
    # The noisiest steps decide where the character is.
    "loss": {"noise_offset": 0.0, "snr_gamma": None, "timestep_shift": 8.0, "condition_dropout": 0.05},
    "sampling": {
        "height_px": 192,
        "width_px": 144,
        "num_frames": 16,
        "sample_margin": 0,
        "explicit_indicator": {},
    },
}


def _defaults(stage: int, network: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG001
    return _DEFAULTS


RECIPE = SystemRecipe(
    defaults=_defaults,
    card=CardText(
        title="Animate-X",
        command="zoetrope train animate-x-puppets",
        corpus="puppet videos of human proportions drawn by `zoetrope puppets --only-humans --alone`, with "
        "ground-truth keypoints (`data.truth`), starting from tensors of the small Animate Anyone, whose first runs "
        "were trained on characters of any kind",
        comparison="In *misfit* and *rescaled*, skeletons do not fit their character. Animate-X draws the limbs of the "
        "draft at the lengths that they have in the reference, Animate Anyone at those of the skeleton; in the other "
        "settings skeletons are retargeted first. Without the explicit pose indicator (EPI), Animate-X was trained on "
        "skeletons that fit; without the implicit one (IPI), it does not read the driving frames.",
    ),
)
