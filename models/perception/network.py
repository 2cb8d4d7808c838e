"""Embedded perception network for keypoints, depth, character mask and prompted object mask.

A small U-Net: residual convolutions at strides 2 to 32, one self-attention over the coarsest map (telling left from
right requires global context), and a decoder up to stride 4 for keypoints and stride 2 for dense maps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.common.attention import scaled_dot_product_attention

DEPTH_OFFSET = 4.0
"""Constant added to the depth head's output, about the depth of a puppet in body heights.

It keeps the values of the head small enough for bfloat16 to resolve the relief."""

REACH = 2
"""Radius in cells, around the most probable one, of the average that gives a keypoint's position."""

# B batch, C channels, H W feature pixels, S side of the square input in pixels, K keypoints, L = H·W tokens


@dataclass(frozen=True, kw_only=True, slots=True)
class PerceptionNetConfig:
    """Architecture of a `PerceptionNet`.

    `widths`: channels at strides 2, 4, 8, 16, 32. `input_px`: side of the square input, a multiple of 32.
    `input_channels`: 3 for colour, 5 with two prompt maps. `num_keypoints`: 0 for no pose head.
    """

    input_px: int = 192
    input_channels: int = 3
    widths: tuple[int, int, int, int, int] = (24, 48, 96, 160, 192)
    num_keypoints: int = 133
    depth: bool = True
    mask: bool = True

    def __post_init__(self) -> None:
        if self.input_px <= 0 or self.input_px % 32:
            raise ValueError(f"input_px must be a positive multiple of 32, got {self.input_px}")
        if len(self.widths) != 5 or min(self.widths) < 1 or self.widths[-1] % 8:
            raise ValueError(f"widths must be 5 positive numbers, the last a multiple of 8, got {self.widths}")
        if not (self.num_keypoints or self.depth or self.mask):
            raise ValueError("a network needs at least one of keypoints, depth and mask")


class Pose(NamedTuple):
    """Output of the pose head."""

    log_share: Tensor
    """(B, L, K) log probability of each keypoint over the cells of the stride-4 map, in row-major order."""
    xy: Tensor
    """(B, K, 2) position of the keypoint in pixels of the input."""
    presence: Tensor
    """(B, K) logit of "the character has this keypoint, and it is inside the image"."""


def _conv(inputs: int, outputs: int, *, stride: int = 1, size: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )


class Residual(nn.Module):
    """Residual block of two 3×3 convolutions, optionally with stride."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.first = _conv(inputs, outputs, stride=stride)
        self.second = _conv(outputs, outputs)
        self.skip = (
            nn.Identity() if inputs == outputs and stride == 1 else _conv(inputs, outputs, stride=stride, size=1)
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Features with `outputs` channels."""
        y = self.second(functional.relu(self.first(x_BCHW), inplace=True))
        return functional.relu(y + self.skip(x_BCHW), inplace=True)


class Attention(nn.Module):
    """Pre-normalised multi-head self-attention over all cells of a map, with up to 32 channels per head."""

    def __init__(self, width: int, *, num_tokens: int) -> None:
        super().__init__()
        self.num_heads = max(1, width // 32)
        self.place_1LC = nn.Parameter(torch.randn(1, num_tokens, width) * 0.02)
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Features of the same shape."""
        x_BLC = x_BCHW.flatten(2).transpose(1, 2)
        qkv = self.qkv(self.norm(x_BLC + self.place_1LC))
        q, k, v = qkv.unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        y_BLC: Tensor = x_BLC + self.out(mixed)
        return y_BLC.transpose(1, 2).view_as(x_BCHW)


class PerceptionNet(nn.Module):
    """U-Net with the heads enabled in the configuration; each head can be run alone."""

    def __init__(self, config: PerceptionNetConfig) -> None:
        super().__init__()
        self.config = config
        w2, w4, w8, w16, w32 = config.widths
        self.stem = _conv(config.input_channels, w2, stride=2)
        self.down2 = Residual(w2, w2)
        self.down4 = Residual(w2, w4, stride=2)
        self.down8 = nn.Sequential(Residual(w4, w8, stride=2), Residual(w8, w8))
        self.down16 = nn.Sequential(Residual(w8, w16, stride=2), Residual(w16, w16))
        self.down32 = Residual(w16, w32, stride=2)
        self.attention = Attention(w32, num_tokens=(config.input_px // 32) ** 2)
        self.up16 = _conv(w32 + w16, w16)
        self.up8 = _conv(w16 + w8, w8)
        self.up4 = _conv(w8 + w4, w4)
        if config.num_keypoints:
            self.pose_features = _conv(w4, 2 * w4)
            self.pose_head = nn.Linear(2 * w4, config.num_keypoints)
            self.presence_weight = nn.Parameter(torch.zeros(config.num_keypoints, 2 * w4))
            self.presence_bias = nn.Parameter(torch.zeros(config.num_keypoints))
        if config.depth or config.mask:
            self.to2 = _conv(w4, w2, size=1)
            self.up2 = _conv(w2, w2)
        if config.depth:
            self.depth_features = _conv(w2, w2)
            self.depth_head = nn.Conv2d(w2, 4, 1)
        if config.mask:
            self.mask_features = _conv(w2, w2)
            self.mask_head = nn.Conv2d(w2, 4, 1)

    def features(self, images_BCSS: Tensor) -> tuple[Tensor, Tensor]:
        """Feature maps at stride 2 (from the encoder) and stride 4 (from the decoder) of images in [-1, 1]."""
        side = self.config.input_px
        if images_BCSS.shape[1:] != (self.config.input_channels, side, side):
            raise ValueError(
                f"images must be (B, {self.config.input_channels}, {side}, {side}), got {tuple(images_BCSS.shape)}"
            )
        x2 = self.down2(functional.relu(self.stem(images_BCSS), inplace=True))
        x4 = self.down4(x2)
        x8 = self.down8(x4)
        x16 = self.down16(x8)
        x32 = self.attention(self.down32(x16))
        y16 = functional.relu(self.up16(torch.cat([_double(x32), x16], 1)), inplace=True)
        y8 = functional.relu(self.up8(torch.cat([_double(y16), x8], 1)), inplace=True)
        return x2, functional.relu(self.up4(torch.cat([_double(y8), x4], 1)), inplace=True)

    def pose(self, y4_BCHW: Tensor) -> Pose:
        """Keypoints from the stride-4 features.

        The position is trained as a classification over cells; gradients flow only through `log_share` and the
        presence. The presence is computed from features averaged with the keypoint's distribution.
        """
        y4 = functional.relu(self.pose_features(y4_BCHW), inplace=True)
        y4_BLC = y4.permute(0, 2, 3, 1).flatten(1, 2)
        # Cells precede keypoints in every product, as in memory: a transposed copy would cost more than the softmax.
        heat_BLK = self.pose_head(y4_BLC)
        with torch.autocast(heat_BLK.device.type, enabled=False):  # bfloat16 would round positions to whole pixels
            log_share_BLK = heat_BLK.float().log_softmax(1)
            share_BLK = log_share_BLK.detach().exp()
            pooled_BKC = (y4_BLC.float().transpose(1, 2) @ share_BLK).transpose(1, 2)
            presence_BK = (pooled_BKC * self.presence_weight).sum(-1) + self.presence_bias
        return Pose(log_share_BLK, _positions(log_share_BLK.detach(), *y4.shape[-2:]), presence_BK)

    def dense(self, x2_BCHW: Tensor, y4_BCHW: Tensor) -> Tensor:
        """Stride-2 features shared by the depth and mask heads."""
        return functional.relu(
            self.up2(functional.relu(_double(self.to2(y4_BCHW)) + x2_BCHW, inplace=True)), inplace=True
        )

    def depth(self, y2_BCHW: Tensor) -> Tensor:
        """(B, S, S) relative depth, smaller is nearer."""
        hidden = functional.relu(self.depth_features(y2_BCHW), inplace=True)
        return functional.pixel_shuffle(self.depth_head(hidden).float(), 2)[:, 0] + DEPTH_OFFSET

    def mask(self, y2_BCHW: Tensor) -> Tensor:
        """(B, S, S) mask logits."""
        hidden = functional.relu(self.mask_features(y2_BCHW), inplace=True)
        return functional.pixel_shuffle(self.mask_head(hidden).float(), 2)[:, 0]


def _double(x_BCHW: Tensor) -> Tensor:
    return functional.interpolate(x_BCHW, scale_factor=2, mode="nearest")


def _positions(log_share_BLK: Tensor, height: int, width: int) -> Tensor:
    """Expected position (B, K, 2), as x and y, over the 5 x 5 cells around the most probable one.

    Integral regression (Sun et al. 2018, arXiv:1711.08229), limited to a neighbourhood: over the whole map, the
    expectation of a bimodal distribution, such as of a hand that may be left or right, lies between the modes.
    """
    best_BK = log_share_BLK.argmax(1)
    rows_BK = (best_BK // width).clamp(REACH, height - 1 - REACH)
    columns_BK = (best_BK % width).clamp(REACH, width - 1 - REACH)
    steps = torch.arange(-REACH, REACH + 1, device=best_BK.device)
    rows_BNK = (rows_BK[:, None] + steps.repeat_interleave(len(steps))[:, None]).contiguous()
    columns_BNK = (columns_BK[:, None] + steps.repeat(len(steps))[:, None]).contiguous()
    share_BNK = log_share_BLK.gather(1, rows_BNK * width + columns_BNK).softmax(1)
    # Cell i of the stride-4 map covers input pixels 4i … 4i + 3, with centre 4i + 1.5.
    return torch.stack([(share_BNK * columns_BNK).sum(1), (share_BNK * rows_BNK).sum(1)], dim=-1) * 4 + 1.5
