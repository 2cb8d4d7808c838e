"""Shapes of U-Nets and of their temporal layers. Imports no torch: planning a job reads configurations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class MambaConfig:
    """Shape of a layer; the defaults are those of the paper.

    `state`: numbers of a channel's state. `convolution`: frames that a channel's convolution sees, itself the last.
    `expand`: inner width over width. `bidirectional`: a second scan, with parameters of its own, comes from the end.
    """

    state: int = 16
    convolution: int = 4
    expand: int = 2
    bidirectional: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class TemporalConfig:
    """Temporal layers.

    `layout`: "animatediff", a layer after every ResNet and its spatial transformer; or "modelscope", a layer after
      every spatial transformer and one after the first convolution, and convolutions over frames after every ResNet.
    `positions`: whether attention knows the places of frames; without, a window may have any length.
    `max_frames`: frames that have a place in the table of positions, the most of a window.
    `mamba`: state-space layers in place of the transformers (Animate-X, arXiv 2410.10306, §3.3), which know the order
      of frames by themselves; None for transformers.
    `norm`: GroupNorm's statistics "per_frame" (AnimateDiff v2, Moore-AnimateAnyone, MusePose) or "pooled" over the
      frames (diffusers' `UNetMotionModel` and `UNet3DConditionModel`): the same weights compute other numbers.
    `head_width`: None for `num_heads` heads everywhere; otherwise heads have this width, and only the layer after the
      first convolution has `num_heads` of them, whatever its input's width.
    """

    layout: Literal["animatediff", "modelscope"] = "animatediff"
    positions: bool = True
    max_frames: int = 32
    norm: Literal["per_frame", "pooled"] = "per_frame"
    num_heads: int = 8
    head_width: int | None = None
    mamba: MambaConfig | None = None

    def heads(self, width: int) -> int:
        """Heads of a layer within the levels."""
        return self.num_heads if self.head_width is None else width // self.head_width


@dataclass(frozen=True, kw_only=True, slots=True)
class UNetConfig:
    """Shape of a U-Net; the defaults are Stable Diffusion 1.5's.

    `widths`: channels of each level, from the full resolution down; `attention`: whether a level has transformers.
    `num_heads`: of every spatial attention, unless `head_width` says how wide a head is. `context_width`: of a token.
    `pose_attention`: α of a second transformer after each spatial one, x + α · Δ(x), whose context is the motion of a
      frame (Animate-X, arXiv 2410.10306, §3.3); None for none.
    """

    in_channels: int = 4
    out_channels: int = 4
    widths: tuple[int, ...] = (320, 640, 1280, 1280)
    attention: tuple[bool, ...] = (True, True, True, False)
    layers_per_block: int = 2
    num_heads: int = 8
    head_width: int | None = None
    context_width: int = 768
    norm_groups: int = 32
    pose_attention: float | None = None

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.attention) or not self.widths:
            raise ValueError(f"widths {self.widths} and attention {self.attention} must name the same levels")

    def heads(self, width: int) -> int:
        """Heads of a spatial attention of this width."""
        return self.num_heads if self.head_width is None else width // self.head_width
