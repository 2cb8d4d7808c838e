"""Configurations of U-Nets and their temporal layers. Imports no torch, because job planning reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class MambaConfig:
    """Shape of a Mamba layer; the defaults are those of the paper.

    `state`: state size per channel. `convolution`: kernel size, in frames, of the causal depthwise convolution.
    `expand`: ratio of inner width to width. `bidirectional`: add a second scan, with its own parameters, in reverse.
    """

    state: int = 16
    convolution: int = 4
    expand: int = 2
    bidirectional: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class TemporalConfig:
    """Temporal layers of a U-Net.

    `layout`: "animatediff": a layer after every ResNet and its spatial transformer. "modelscope": a layer after every
      spatial transformer and after the first convolution, and convolutions over frames after every ResNet.
    `positions`: whether attention has positional encodings; without them a window may have any length.
    `max_frames`: length of the table of positional encodings, and so the maximum length of a window.
    `middle`: whether the middle block has temporal layers.
    `passes_first_frame`: whether the first frame of every clip is a reference, which the layers neither change nor
      read; positions begin at the second (X-Dyna).
    `mamba`: state-space layers in place of the transformers (Animate-X, arXiv 2410.10306, §3.3); they need no
      positional encodings. None: transformers.
    `norm`: GroupNorm statistics "per_frame" (AnimateDiff v2, Moore-AnimateAnyone, MusePose) or "pooled" over the frames
      (diffusers' `UNetMotionModel` and `UNet3DConditionModel`). Outputs differ for the same weights.
    `head_width`: width of a head; the number of heads then follows from the layer's width, except in the layer after
      the first convolution, which has `num_heads`. None: `num_heads` heads in every layer.
    """

    layout: Literal["animatediff", "modelscope"] = "animatediff"
    positions: bool = True
    max_frames: int = 32
    norm: Literal["per_frame", "pooled"] = "per_frame"
    num_heads: int = 8
    head_width: int | None = None
    middle: bool = True
    passes_first_frame: bool = False
    mamba: MambaConfig | None = None

    def __post_init__(self) -> None:
        plain = self.layout == "animatediff" and self.norm == "per_frame" and self.mamba is None
        if self.passes_first_frame and not plain:
            raise ValueError(
                "passes_first_frame needs layout 'animatediff', norm 'per_frame' and no mamba, got "
                f"'{self.layout}', '{self.norm}' and {self.mamba}"
            )

    def heads(self, width: int) -> int:
        """Number of attention heads of a layer of this width."""
        return self.num_heads if self.head_width is None else width // self.head_width


@dataclass(frozen=True, kw_only=True, slots=True)
class BlendingConfig:
    """Spatial blending of object features in a U-Net's decoder (Animate Anyone 2, arXiv 2502.06145, §3.3).

    `weights`: one weight α per place, or per place and channel; the paper leaves it open, and "place" is the lighter.
    `middle`: blend after the middle transformer too; the paper's object guider has features of its width.
    """

    weights: Literal["place", "channel"] = "place"
    middle: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class UNetConfig:
    """Shape of a U-Net; the defaults are Stable Diffusion 1.5's.

    `widths`: channels of each level, from the full resolution down. `attention`: whether each level has transformers.
    `num_heads`: heads of every spatial attention, unless `head_width` is given. `context_width`: width of a context
      token.
    `pose_attention`: scale α of a second transformer after each spatial one, x + α · Δ(x), whose context is the motion
      tokens of the frame (Animate-X, arXiv 2410.10306, §3.3). None: no such transformers.
    `residual_norm`: GroupNorm statistics of ResNets "per_frame" (Stable Diffusion) or "pooled" over a clip's frames
      (AnimateDiff v1, X-Dyna). Outputs differ for the same weights.
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
    residual_norm: Literal["per_frame", "pooled"] = "per_frame"

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.attention) or not self.widths:
            raise ValueError(f"widths {self.widths} and attention {self.attention} must name the same levels")

    def heads(self, width: int) -> int:
        """Number of heads of a spatial attention of this width."""
        return self.num_heads if self.head_width is None else width // self.head_width
