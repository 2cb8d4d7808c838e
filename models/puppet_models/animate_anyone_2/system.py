"""The small Animate Anyone 2 that ships with the project, trained on drawn puppets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.animate_anyone_2.config import AnimateAnyone2Config
from models.animation.signals import (
    POSE_KEYPOINTS,
    REFERENCE_KEYPOINTS,
    REFERENCE_MASK,
    REFERENCE_POSE,
    SCENE_SIGNALS,
)
from models.animation.system import System, Variant
from models.common.unet.config import TemporalConfig, UNetConfig
from models.sampling.config import WindowConfig
from models.weights.entry import shipped

if TYPE_CHECKING:
    from models.animation.implementation import Implementation

NAME = "animate-anyone-2-puppets"

PUPPETS = AnimateAnyone2Config(
    unet=UNetConfig(
        in_channels=16,
        out_channels=16,
        widths=(48, 80, 112),
        attention=(True, True, True),
        layers_per_block=1,
        num_heads=2,
        context_width=64,
        norm_groups=16,
    ),
    temporal=TemporalConfig(max_frames=32, num_heads=4),
    object_extent="mask",
    pose_widths=(8, 16, 32, 48),
    modulation_heads=4,
    windows=WindowConfig(size=16, overlap=4, blend="triangular"),
    num_steps=1,
    guidance_scale=1.0,
    pose_preset="embedded",
)
"""For videos of 192 pixels or more."""


def _implementation() -> Implementation[Any, Any]:
    from models.puppet_models.animate_anyone_2.implementation import PuppetAnimateAnyone2Implementation

    return PuppetAnimateAnyone2Implementation()


SYSTEM = System(
    name=NAME,
    title="Animate Anyone 2 (puppets)",
    version=2,  # objects leave no trace in the scene behind the character
    variants={
        NAME: Variant(
            config=PUPPETS,
            weights=shipped(
                NAME,
                "puppets",
                "animation",
                "models/puppet_models/animate_anyone_2/checkpoints/network.safetensors",
            ),
            encoders="puppets",
            needs=SCENE_SIGNALS | {REFERENCE_POSE, REFERENCE_KEYPOINTS, REFERENCE_MASK, POSE_KEYPOINTS},
            short_side_px=192,
            reads_reference_picture=True,
            notice=f"{NAME} was trained on drawn puppets of human proportions at 192 pixels; on people and photographs "
            "its results are poor.",
        )
    },
    implementation=_implementation,
)
