"""Lazy preprocessing of frames for SAM 2 and SAM 3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Channels = tuple[float, float, float]

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""ImageNet mean and standard deviation, RGB in [0, 1]: those of SAM 2."""


class Sam2Frames(Mapping[int, Tensor]):
    """Mapping from frame index to normalised image (3, S, S), computed on access.

    The clip is kept as uint8 at its own size: a float copy of 80 frames at 1024 x 1024 would take a gigabyte.
    Equivalent to transformers' `Sam2VideoVideoProcessor`: the whole frame is resized to a square, ignoring its aspect
    ratio, bilinear with antialiasing in uint8; then (x - 255 mean) / (255 std). The official package resizes with
    Pillow's bicubic filter instead; both trackers of this project use this preprocessing.
    """

    def __init__(
        self,
        frames_THWC: NDArray[np.uint8],
        *,
        side_px: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype,
        mean: Channels = MEAN,
        std: Channels = STD,
    ) -> None:
        self.frames_THWC = frames_THWC
        self.side_px = side_px
        self.device = torch.device(device)
        self.dtype = dtype
        self._mean = torch.tensor(mean, device=self.device).mul(255.0)[:, None, None]
        self._std = torch.tensor(std, device=self.device).mul(255.0)[:, None, None]

    def __len__(self) -> int:
        return len(self.frames_THWC)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.frames_THWC)))

    def __getitem__(self, frame: int) -> Tensor:
        frame_HWC = torch.from_numpy(np.ascontiguousarray(self.frames_THWC[frame]))
        # A channels-last view: resized without a copy.
        resized = functional.interpolate(
            frame_HWC.permute(2, 0, 1)[None],
            size=(self.side_px, self.side_px),
            mode="bilinear",
            align_corners=False,
            antialias=True,
        )[0]
        return resized.to(self.device).float().sub_(self._mean).div_(self._std).to(self.dtype)
