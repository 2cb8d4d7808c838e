"""Configurations of Animate Anyone at the released sizes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from models.common.unet.config import TemporalConfig, UNetConfig
from models.sampling.config import ScheduleConfig, WindowConfig

PoseGuiderForm = Literal["released", "paper"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AnimateAnyoneConfig:
    """Configuration of an Animate Anyone network.

    Args:
        unet: shape of the denoising U-Net and of the ReferenceNet.
        temporal: the denoiser's temporal layers.
        pose_guider: "released", as in the public checkpoints: features are added to the output of `conv_in`; or
            "paper", the tower of arXiv 2311.17117 §3.2: features are added to the noise latent.
        pose_widths: channels of the pose guider's levels, each at half the resolution of the one before.
        schedule, windows, num_steps, guidance_scale: sampling defaults.
        pose_preset: key of `models.pose.pose_map.PRESETS`.
    """

    unet: UNetConfig = field(default_factory=UNetConfig)
    temporal: TemporalConfig = field(default_factory=TemporalConfig)
    pose_guider: PoseGuiderForm = "released"
    pose_widths: tuple[int, ...] = (16, 32, 96, 256)
    schedule: ScheduleConfig = field(default_factory=lambda: ScheduleConfig(betas="linear"))
    windows: WindowConfig = field(default_factory=lambda: WindowConfig(size=24, overlap=4, layout="closed_loop"))
    num_steps: int = 30
    guidance_scale: float = 3.5
    pose_preset: str = "moore"


MOORE = AnimateAnyoneConfig()
"""Moore-AnimateAnyone as released (`inference_v2.yaml`), with its linear betas, though it was trained with scaled
ones."""

MUSEPOSE = AnimateAnyoneConfig(
    temporal=TemporalConfig(max_frames=128),
    schedule=ScheduleConfig(betas="scaled_linear"),
    windows=WindowConfig(size=48, overlap=4, layout="open_loop"),
    num_steps=20,
    pose_preset="musepose",
)
"""MusePose as released."""
