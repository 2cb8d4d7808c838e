"""X-Dyna (arXiv 2501.10021) with its public checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.animation.signals import CONTROLS, FACE_CONTROL
from models.animation.system import System, Variant
from models.appearance.weights import IP_ADAPTER
from models.weights.base import ANIMATEDIFF_1, OPENPOSE_CONTROL_NET, SD_UNET
from models.weights.entry import File, Loader, Weights
from models.weights.licence import APACHE
from models.x_dyna.config import FACE_FILE, POSE_FILE, UNET_FILE, XDynaConfig

if TYPE_CHECKING:
    from models.animation.implementation import Implementation

STAGES = (1, 2)


def _implementation() -> Implementation[Any, Any]:
    from models.x_dyna.implementation import XDynaImplementation

    return XDynaImplementation()


X_DYNA_WEIGHTS = Weights(
    name="x-dyna",
    system="X-Dyna",
    part="animation",
    repository="Boese0601/X-Dyna",
    files=(
        File(name=UNET_FILE, size_bytes=5_290_000_000),
        File(name=POSE_FILE, size_bytes=1_450_000_000),
        File(name=FACE_FILE, size_bytes=1_450_000_000),
    ),
    licence=APACHE,
    loader=Loader.TORCH,
)

SYSTEM = System(
    name="x-dyna",
    title="X-Dyna",
    version=1,
    variants={
        "x-dyna": Variant(
            config=XDynaConfig(),
            weights=X_DYNA_WEIGHTS,
            base=(SD_UNET, ANIMATEDIFF_1, IP_ADAPTER, OPENPOSE_CONTROL_NET),
            encoders="x-dyna",
            needs=frozenset({FACE_CONTROL, CONTROLS}),
            short_side_px=512,
            reads_reference_picture=True,
        )
    },
    implementation=_implementation,
    stages=STAGES,
)
