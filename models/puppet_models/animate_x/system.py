"""The small Animate-X that ships with the project, trained on drawn puppets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.animate_x.config import AnimateXConfig, IndicatorConfig
from models.animation.signals import (
    DRIVING_FRAMES,
    DRIVING_KEYPOINTS,
    POSE_KEYPOINTS,
    REFERENCE_KEYPOINTS,
    REFERENCE_POSE,
)
from models.animation.system import System, Variant
from models.common.unet.config import MambaConfig, TemporalConfig, UNetConfig
from models.sampling.config import ScheduleConfig, WindowConfig
from models.weights.entry import shipped

if TYPE_CHECKING:
    from models.animation.implementation import Implementation

NAME = "animate-x-puppets"

PUPPETS = AnimateXConfig(
    unet=UNetConfig(
        in_channels=16,
        out_channels=16,
        widths=(48, 80, 112),
        attention=(True, True, True),
        layers_per_block=1,
        num_heads=2,
        context_width=64,
        norm_groups=16,
        pose_attention=1.0,
    ),
    temporal=TemporalConfig(layout="modelscope", positions=False, mamba=MambaConfig(state=8, bidirectional=True)),
    indicator=IndicatorConfig(
        width=128,
        features_width=64,
        encoder_layers=2,
        encoder_heads=4,
        encoder_ff_width=256,
        resampler_layers=2,
        resampler_heads=4,
        head_width=32,
    ),
    reference="both",
    concat_channels=16,
    offset_noise=0.0,
    schedule=ScheduleConfig(),
    windows=WindowConfig(size=16, overlap=4, layout="last_shifted", blend="triangular"),
    num_steps=1,
    guidance_scale=1.0,
    pose_preset="embedded",
)
"""For pictures of 192 pixels or more, with the paper's state-space layers over frames, which the public code lacks."""


def _implementation() -> Implementation[Any, Any]:
    from models.puppet_models.animate_x.implementation import PuppetAnimateXImplementation

    return PuppetAnimateXImplementation()


SYSTEM = System(
    name=NAME,
    title="Animate-X (puppets)",
    version=1,
    variants={
        NAME: Variant(
            config=PUPPETS,
            weights=shipped(
                NAME,
                "puppets",
                "animation",
                "models/puppet_models/animate_x/checkpoints/network.safetensors",
            ),
            encoders="puppets",
            needs=frozenset({REFERENCE_POSE, REFERENCE_KEYPOINTS, POSE_KEYPOINTS, DRIVING_FRAMES, DRIVING_KEYPOINTS}),
            short_side_px=192,
            reads_reference_picture=True,
            notice=f"{NAME} was trained on drawn puppets at 192 pixels; on people and photographs its results are "
            "poor. For those, use --model animate-x with published weights.",
        )
    },
    implementation=_implementation,
)
