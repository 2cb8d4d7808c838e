"""Animate-X (arXiv 2410.10306) and UniAnimate (arXiv 2406.01188) with their public checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.animate_x.config import ANIMATE_X, UNIANIMATE
from models.animation.signals import DRIVING_FRAMES, DRIVING_KEYPOINTS, REFERENCE_KEYPOINTS, REFERENCE_POSE
from models.animation.system import System, Variant
from models.weights.entry import File, Hub, Loader, Weights
from models.weights.licence import APACHE, NONE_STATED

if TYPE_CHECKING:
    from models.animation.implementation import Implementation


def _implementation() -> Implementation[Any, Any]:
    from models.animate_x.implementation import AnimateXImplementation

    return AnimateXImplementation()


ANIMATE_X_WEIGHTS = Weights(
    name="animate-x",
    system="Animate-X",
    part="animation",
    repository="Shuaishuai0219/Animate-X",
    files=(File(name="animate-x_ckpt.pth"),),
    licence=APACHE,
    loader=Loader.TORCH,
)
UNIANIMATE_WEIGHTS = Weights(
    name="unianimate",
    system="UniAnimate",
    part="animation",
    repository="iic/unianimate",
    files=(File(name="unianimate_16f_32f_non_ema_223000.pth"),),
    licence=NONE_STATED,
    loader=Loader.TORCH,
    hub=Hub.MODELSCOPE,
)

SYSTEM = System(
    name="animate-x",
    title="Animate-X",
    version=1,
    variants={
        "animate-x": Variant(
            config=ANIMATE_X,
            weights=ANIMATE_X_WEIGHTS,
            encoders="sd-2.1",
            needs=frozenset({DRIVING_FRAMES, DRIVING_KEYPOINTS, REFERENCE_KEYPOINTS}),
            short_side_px=512,
            reads_reference_picture=True,
        ),
        "unianimate": Variant(
            config=UNIANIMATE,
            weights=UNIANIMATE_WEIGHTS,
            encoders="sd-2.1",
            needs=frozenset({REFERENCE_POSE}),
            short_side_px=512,
            reads_reference_picture=True,
        ),
    },
    implementation=_implementation,
)
