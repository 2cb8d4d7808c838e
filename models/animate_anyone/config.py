"""Animate Anyone in its sizes: the released ones, and the one that ships with the project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from models.common.unet.config import TemporalConfig, UNetConfig
from models.sampling.config import ScheduleConfig, WindowConfig

PoseGuiderForm = Literal["released", "paper"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AnimateAnyoneConfig:
    """Everything that makes one Animate Anyone.

    Args:
        unet: shape of the denoising U-Net and of the ReferenceNet.
        temporal: the denoiser's temporal layers.
        pose_guider: "released", as in the public checkpoints: features are added to the output of `conv_in`; or
            "paper", the tower of arXiv 2311.17117 §3.2: features are added to the noise latent.
        pose_widths: channels of the pose guider's levels, each at half the resolution of the one before.
        reference_latents: the denoiser also sees the reference's latents beside the noise, channel by channel: what
            stands still behind a character need not be found by attention. Off in the paper and in the public
            checkpoints; the embedded size learns with far less training by it.
        reference_pose: the ReferenceNet also sees the reference's own skeleton, through the pose guider, as UniAnimate
            (arXiv 2406.01188, §3.3) first did: which part of the character is which need not be learnt from looks.
            So does the denoiser where it sees the reference's latents, which tells it from where to where each part
            moves. For the "released" guider only, and off in its checkpoints.
        limb_warp: the denoiser also sees the reference's picture moved limb by limb into each pose
            (`models.pose.limb_warp`): which look goes where need not be found by attention, only put right. The
            animation is given back what the VAE loses of that picture (`models.common.limb_warped`). For the "released"
            guider only, and off in its checkpoints.
        schedule, windows, num_steps, guidance_scale: how it is sampled unless a request says otherwise.
        latent_scale: latents times this have unit variance. `latent_px`: pixels along the side of a latent.
        image_size_px: side of the square that the image encoder sees.
        pose_preset: key of `models.pose.pose_map.PRESETS`.
    """

    unet: UNetConfig = field(default_factory=UNetConfig)
    temporal: TemporalConfig = field(default_factory=TemporalConfig)
    pose_guider: PoseGuiderForm = "released"
    pose_widths: tuple[int, ...] = (16, 32, 96, 256)
    reference_latents: bool = False
    reference_pose: bool = False
    limb_warp: bool = False
    schedule: ScheduleConfig = field(default_factory=lambda: ScheduleConfig(betas="linear"))
    windows: WindowConfig = field(default_factory=lambda: WindowConfig(size=24, overlap=4, layout="closed_loop"))
    num_steps: int = 30
    guidance_scale: float = 3.5
    latent_scale: float = 0.18215
    latent_px: int = 8
    image_size_px: int = 224
    pose_preset: str = "moore"

    def __post_init__(self) -> None:
        for name in ("reference_pose", "limb_warp"):
            if getattr(self, name) and self.pose_guider != "released":
                raise ValueError(f"{name} needs pose_guider 'released', got '{self.pose_guider}'")


MOORE = AnimateAnyoneConfig()
"""Moore-AnimateAnyone as released (`inference_v2.yaml`), including its linear betas, though it was trained with scaled
ones."""

MUSEPOSE = AnimateAnyoneConfig(
    temporal=TemporalConfig(max_frames=128),
    schedule=ScheduleConfig(betas="scaled_linear"),
    windows=WindowConfig(size=48, overlap=4, layout="open_loop"),
    num_steps=20,
    pose_preset="musepose",
)
"""MusePose as released."""

EMBEDDED = AnimateAnyoneConfig(
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
    pose_widths=(8, 16, 32, 48),
    reference_latents=True,
    reference_pose=True,
    limb_warp=True,
    schedule=ScheduleConfig(betas="scaled_linear"),
    windows=WindowConfig(size=16, overlap=4, layout="last_shifted", blend="triangular"),
    num_steps=1,
    guidance_scale=1.0,
    latent_scale=1.0,
    image_size_px=64,
    pose_preset="embedded",
)
"""The size that ships, for pictures of 192 pixels or more."""

CONFIGS: Mapping[str, AnimateAnyoneConfig] = MappingProxyType(
    {"embedded": EMBEDDED, "moore": MOORE, "musepose": MUSEPOSE}
)
