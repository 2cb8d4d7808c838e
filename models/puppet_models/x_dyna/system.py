"""The small X-Dyna that ships with the project, trained on drawn puppets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.animation.signals import CONTROLS, FACE_CONTROL, POSE_KEYPOINTS, REFERENCE_KEYPOINTS
from models.animation.system import System, Variant
from models.common.unet.config import TemporalConfig, UNetConfig
from models.sampling.config import ScheduleConfig, WindowConfig
from models.weights.entry import shipped
from models.x_dyna.config import XDynaConfig

if TYPE_CHECKING:
    from models.animation.implementation import Implementation

NAME = "x-dyna-puppets"

PUPPETS = XDynaConfig(
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
    control_widths=(8, 16, 32, 48),
    schedule=ScheduleConfig(betas="scaled_linear"),
    windows=WindowConfig(size=16, overlap=4, blend="triangular"),
    num_steps=4,
    guidance_scale=1.0,
    pose_preset="embedded-no-head",
)
"""For pictures of 192 pixels or more. Norms are per frame, so that a window may have any length. One step would give
the mean of all ways in which scenery can move, which hardly moves; four of first order still lose half of the motion
(`models.sampling.solver`).
"""


def _implementation() -> Implementation[Any, Any]:
    from models.puppet_models.x_dyna.implementation import PuppetXDynaImplementation

    return PuppetXDynaImplementation()


SYSTEM = System(
    name=NAME,
    title="X-Dyna (puppets)",
    version=3,
    variants={
        NAME: Variant(
            config=PUPPETS,
            weights=shipped(
                NAME, "puppets", "animation", "models/puppet_models/x_dyna/checkpoints/network.safetensors"
            ),
            encoders="puppets",
            needs=frozenset({FACE_CONTROL, CONTROLS, REFERENCE_KEYPOINTS, POSE_KEYPOINTS}),
            short_side_px=192,
            reads_reference_picture=True,
            notice=f"{NAME} was trained on drawn puppets at 192 pixels; on people and photographs its results are "
            "poor. For those, use --model x-dyna with published weights.",
        )
    },
    implementation=_implementation,
)
