"""Recipe of Animate-X: the paper's (arXiv 2410.10306, appendix A).

Ablations of the paper, each a line or two of a recipe:

| without | recipe |
|---|---|
| implicit pose indicator | `model: {network: {indicator: null, unet: {pose_attention: null}}}` |
| learned query | `model: {network: {indicator: {learned_query: false}}}` |
| keypoint query | `model: {network: {indicator: {keypoint_query: false}}}` |
| explicit pose indicator | `recipe: {sampling: {explicit_indicator: null}}` |
| realignment | `recipe: {sampling: {explicit_indicator: {realign: false}}}` |
| rescaling | `recipe: {sampling: {explicit_indicator: {rescale_probability: 0}}}`; of some limbs: `{body: null, …}` |
| adding of parts | `recipe: {sampling: {explicit_indicator: {add_probability: 0}}}` |
| dropping of parts | `recipe: {sampling: {explicit_indicator: {drop_probability: 0}}}` |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.recipes.recipe import SystemRecipe

_PAPER: Mapping[str, Any] = {
    # Dropout as in the constructor of the public network. Neither states the number of steps.
    "steps": 30_000,
    "batch_size": 8,
    "precision": "bfloat16",
    "gradient_checkpointing": True,
    "optimizer": {"learning_rate": 5e-5},
    "loss": {
        "noise_offset": 0.1,
        "noise_offset_per_frame": True,
        "snr_gamma": None,
        "condition_dropout": 0.1,
        "keep_share": 0.1,
        "part_dropout": 0.5,
    },
    "sampling": {"height_px": 768, "width_px": 512, "num_frames": 32, "sample_margin": 0, "explicit_indicator": {}},
}
_INDICATOR_RATE = {"lr_multipliers": {"indicator.": 0.01}}
"""5e-7 for the implicit pose indicator, 5e-5 for everything else (appendix A)."""


def _defaults(stage: int, network: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG001
    if network["indicator"] is None:
        return _PAPER
    return {**_PAPER, "optimizer": {**_PAPER["optimizer"], **_INDICATOR_RATE}}


RECIPE = SystemRecipe(defaults=_defaults)
