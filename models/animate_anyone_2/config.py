"""Configuration of Animate Anyone 2 (arXiv 2502.06145) at Stable Diffusion's size.

No code or weights of the paper are public. Fields name the points that it leaves open, with a reason for each default.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from models.common.unet.config import BlendingConfig, TemporalConfig, UNetConfig
from models.sampling.config import ScheduleConfig, WindowConfig

ObjectsForm = Literal["blending", "channels", "none"]
ObjectExtent = Literal["frame", "mask"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AnimateAnyone2Config:
    """Configuration of an Animate Anyone 2 network.

    Args:
        unet: shape of the denoising U-Net and of the ReferenceNet; `in_channels` are those of a latent.
        temporal: the denoiser's temporal layers: AnimateDiff's (§4.1).
        objects: "blending": object guider and spatial blending (§3.3); for ablations "channels", object latents beside
            the noise, or "none".
        blending: see `BlendingConfig`.
        object_extent: where blending has an effect: in every "frame" with an object, as in the paper's equation, which
            has no mask; or within the objects' "mask", which disturbs a pretrained decoder less.
        mask_channels: whether masks go beside the latents of environment and objects. The paper names the latents only,
            but black pixels could then not be told from absent ones.
        pose_modulation: depth-wise pose modulation (§3.4); for ablations the skeleton alone.
        pose_widths: channels of the levels of both pose towers, "of the same architecture as the pose guider".
        modulation_heads: heads of the attention from skeleton to depth; the number is not given.
        smoothing_kernel: side of the kernel of the Conv3D over frames; not given, 3 is the smallest with neighbours.
        schedule, windows, num_steps, guidance_scale: sampling defaults; windows are as long as the clips of training.
        pose_preset: key of `models.pose.pose_map.PRESETS`.
    """

    unet: UNetConfig = field(default_factory=UNetConfig)
    temporal: TemporalConfig = field(default_factory=TemporalConfig)
    objects: ObjectsForm = "blending"
    blending: BlendingConfig = field(default_factory=BlendingConfig)
    object_extent: ObjectExtent = "frame"
    mask_channels: bool = True
    pose_modulation: bool = True
    pose_widths: tuple[int, ...] = (16, 32, 96, 256)
    modulation_heads: int = 8
    smoothing_kernel: int = 3
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    windows: WindowConfig = field(default_factory=lambda: WindowConfig(size=16, overlap=4, blend="triangular"))
    num_steps: int = 30
    guidance_scale: float = 3.5
    pose_preset: str = "moore"

    def __post_init__(self) -> None:
        if self.objects not in get_args(ObjectsForm) or self.object_extent not in get_args(ObjectExtent):
            raise ValueError(
                f"expected objects of {', '.join(get_args(ObjectsForm))} and object_extent of "
                f"{', '.join(get_args(ObjectExtent))}, got '{self.objects}' and '{self.object_extent}'"
            )
        if self.smoothing_kernel < 1 or self.smoothing_kernel % 2 == 0:
            raise ValueError(f"smoothing_kernel must be odd and at least 1, got {self.smoothing_kernel}")

    @property
    def concat_channels(self) -> int:
        """Number of channels beside the noise latents: environment, and objects where they are channels."""
        num_latents = 2 if self.objects == "channels" else 1
        return num_latents * (self.unet.in_channels + self.mask_channels)
