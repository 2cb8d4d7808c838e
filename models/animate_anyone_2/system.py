"""Animate Anyone 2 (arXiv 2502.06145). No weights are published: `zoetrope train animate-anyone-2` makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.animate_anyone_2.config import AnimateAnyone2Config
from models.animation.signals import SCENE_SIGNALS
from models.animation.system import System, Variant
from models.weights.base import ANIMATE_ANYONE_BASE
from models.weights.entry import trained

if TYPE_CHECKING:
    from models.animation.implementation import Implementation


def _implementation() -> Implementation[Any, Any]:
    from models.animate_anyone_2.implementation import AnimateAnyone2Implementation

    return AnimateAnyone2Implementation()


SYSTEM = System(
    name="animate-anyone-2",
    title="Animate Anyone 2",
    version=1,
    variants={
        "animate-anyone-2": Variant(
            config=AnimateAnyone2Config(),
            weights=trained("animate-anyone-2", "Animate Anyone 2", "animation"),
            base=ANIMATE_ANYONE_BASE,
            encoders="sd-1.5",
            needs=SCENE_SIGNALS,
            short_side_px=512,
        )
    },
    implementation=_implementation,
)
