"""Residuals of ControlNets (arXiv 2302.05543) in the U-Net that they control."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, kw_only=True, slots=True)
class ControlResiduals:
    """Residuals of clips, one per skip connection in the order of the encoder, then that of the middle block.

    `maps`: each (clips, F, C, h, w), or (1, …) for all rows of a U-Net; empty where no ControlNet runs.
    `rows`: the clip of each row; None: row n is clip n. A row may have more than F frames: the first ones are then not
      controlled.
    """

    maps: Sequence[Tensor]
    rows: tuple[int, ...] | None = None

    def added(self, index: int, x_NCHW: Tensor, num_frames: int) -> Tensor:
        """`x_NCHW` with residual `index` added, N = rows · `num_frames`."""
        if not self.maps:
            return x_NCHW
        residual = self.of_rows(self.maps[index])
        if missing := num_frames - residual.shape[1]:
            residual = functional.pad(residual, (0, 0) * 3 + (missing, 0))
        added = x_NCHW.reshape(-1, num_frames, *x_NCHW.shape[1:]) + residual
        return added.flatten(0, 1)

    def of_rows(self, x: Tensor) -> Tensor:
        """A tensor of clips (clips, …) as one of rows; (1, …) stands for all rows."""
        return x if self.rows is None or len(x) == 1 else x[list(self.rows)]

    @classmethod
    def of_windows(cls, windows: Sequence[Self], rows: tuple[int, ...]) -> Self:
        """Residuals of several windows of one clip each. `rows`: the window of each row."""
        return cls(maps=joined(window.maps for window in windows), rows=rows)


def joined(clips: Iterable[Sequence[Tensor]]) -> tuple[Tensor, ...]:
    """Concatenate the maps of several clips."""
    return tuple(torch.cat(maps) for maps in zip(*clips, strict=True))
