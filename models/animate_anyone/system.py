"""Animate Anyone (arXiv 2311.17117) with the public checkpoints of Moore-AnimateAnyone and MusePose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.animate_anyone.config import MOORE, MUSEPOSE
from models.animation.system import System, Variant
from models.weights.base import ANIMATE_ANYONE_BASE
from models.weights.entry import File, Loader, Weights
from models.weights.licence import APACHE, MUSEPOSE_RESEARCH

if TYPE_CHECKING:
    from models.animation.implementation import Implementation

STAGES = (1, 2)


def _implementation() -> Implementation[Any, Any]:
    from models.animate_anyone.implementation import AnimateAnyoneImplementation

    return AnimateAnyoneImplementation()


MOORE_WEIGHTS = Weights(
    name="moore-animate-anyone",
    system="Animate Anyone (Moore-AnimateAnyone)",
    part="animation",
    repository="patrolli/AnimateAnyone",
    files=(
        File(name="denoising_unet.pth", size_bytes=3_440_000_000),
        File(name="reference_unet.pth", size_bytes=3_440_000_000),
        File(name="pose_guider.pth", size_bytes=4_350_000),
        File(name="motion_module.pth", size_bytes=1_820_000_000),
    ),
    licence=APACHE,
    loader=Loader.TORCH,
)
MUSEPOSE_WEIGHTS = Weights(
    name="musepose",
    system="Animate Anyone (MusePose)",
    part="animation",
    repository="TMElyralab/MusePose",
    files=tuple(
        File(name=f"MusePose/{name}.pth")
        for name in ("denoising_unet", "reference_unet", "pose_guider", "motion_module")
    ),
    licence=MUSEPOSE_RESEARCH,
    loader=Loader.TORCH,
)

SYSTEM = System(
    name="animate-anyone",
    title="Animate Anyone",
    version=1,
    variants={
        "animate-anyone": Variant(
            config=MOORE, weights=MOORE_WEIGHTS, base=ANIMATE_ANYONE_BASE, encoders="sd-1.5", short_side_px=512
        ),
        "musepose": Variant(config=MUSEPOSE, weights=MUSEPOSE_WEIGHTS, encoders="sd-1.5", short_side_px=768),
    },
    implementation=_implementation,
    stages=STAGES,
)
