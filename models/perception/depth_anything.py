"""Relative depth with Depth Anything (v1, v2), through transformers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.common.pretrained import load_pretrained
from models.finite import check_finite

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""ImageNet mean and standard deviation, RGB 0–255."""
BATCH_FRAMES = 8


class DepthAnything:
    """Transformers' `DepthAnythingForDepthEstimation`; bfloat16 on a CUDA device, else float32."""

    def __init__(self, folder: Path, *, device: torch.device | str = "cpu") -> None:
        """Load a published folder (depth-anything/Depth-Anything-V2-…-hf).

        Raises:
            CheckpointError: the folder is not that of a Depth Anything network, or incomplete.
        """
        from transformers import DepthAnythingForDepthEstimation

        network = load_pretrained(DepthAnythingForDepthEstimation, folder)
        self.side_px = int(network.config.backbone_config.image_size)
        self.multiple_px = int(network.config.patch_size)
        self.near_is_large = network.config.depth_estimation_type == "relative"
        self.device = torch.device(device)
        self.dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        self.network = network.to(self.device, self.dtype)

    @torch.inference_mode()
    def depth(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Depth (T, H, W) float32, smaller is nearer.

        The relative networks predict inverse depth d, larger is nearer and 0 is the horizon. It is converted to
        max d - d, with the maximum over the clip, which gives all frames one scale and finite values, linear in inverse
        depth. The output of the metric networks, in metres, is unchanged.
        """
        height, width = frames_THWC.shape[1:3]
        depth = np.empty(frames_THWC.shape[:3], np.float32)
        for start in range(0, len(frames_THWC), BATCH_FRAMES):
            batch = slice(start, start + BATCH_FRAMES)
            maps: Tensor = self.network(self.pixels(frames_THWC[batch])).predicted_depth
            check_finite(maps, "depth of Depth Anything")
            resized = functional.interpolate(
                maps[:, None].float(), (height, width), mode="bicubic", align_corners=False
            )
            depth[batch] = resized[:, 0].cpu().numpy()
        if self.near_is_large and depth.size:
            np.subtract(depth.max(), depth, out=depth)
        return depth

    def pixels(self, frames_THWC: NDArray[np.uint8]) -> Tensor:
        """Network input (T, 3, h, w), as from transformers' `DPTImageProcessor` with the published settings.

        Bicubic resizing with antialiasing in uint8, then normalisation with ImageNet's mean and standard deviation.
        """
        size = input_size(*frames_THWC.shape[1:3], side_px=self.side_px, multiple_px=self.multiple_px)
        images = torch.from_numpy(np.ascontiguousarray(frames_THWC)).permute(0, 3, 1, 2)
        resized = functional.interpolate(images, size, mode="bicubic", align_corners=False, antialias=True)
        mean, std = (torch.tensor(value, device=self.device)[:, None, None] for value in (MEAN, STD))
        return resized.to(self.device).float().sub_(mean).div_(std).to(self.dtype)


def input_size(height_px: int, width_px: int, *, side_px: int, multiple_px: int) -> tuple[int, int]:
    """Height and width of the network's input, with the frame's aspect ratio and one side of `side_px`.

    That side is the one that changes less; both sides are rounded to multiples of the patch size.
    """
    scales = side_px / height_px, side_px / width_px
    scale = min(scales, key=lambda value: abs(1 - value))
    height, width = (max(round(side * scale / multiple_px), 1) * multiple_px for side in (height_px, width_px))
    return height, width
