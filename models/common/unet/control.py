"""Residuals of ControlNets (arXiv 2302.05543) in the U-Net that they control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, kw_only=True, slots=True)
class ControlResiduals:
    """Residuals of clips, one per skip connection in the order of the encoder, then that of the middle block.

    `maps`: each (clips, F, C, h, w), or (1, …) for all rows of a U-Net.
    `rows`: the clip of each row; None: row n is clip n. A row may have more than F frames: the first ones are then not
      controlled.
    """

    maps: Sequence[Tensor]
    rows: tuple[int, ...] | None = None

    def added(self, index: int, x_NCHW: Tensor, num_frames: int) -> Tensor:
        """`x_NCHW` with residual `index` added, N = rows · `num_frames`."""
        residual = self.maps[index]
        if self.rows is not None and len(residual) > 1:
            residual = residual[list(self.rows)]
        if missing := num_frames - residual.shape[1]:
            residual = functional.pad(residual, (0, 0) * 3 + (missing, 0))
        added = x_NCHW.reshape(-1, num_frames, *x_NCHW.shape[1:]) + residual
        return added.flatten(0, 1)
