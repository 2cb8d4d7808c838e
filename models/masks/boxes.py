"""Bounding boxes of masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def bounding_boxes(masks: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Boxes (T, 4) of masks (T, H, W): x0, y0, x1, y1 with x1 and y1 exclusive; all 0 for an empty mask."""
    if masks.ndim != 3:
        raise ValueError(f"masks must be (T, H, W), got {masks.shape}")
    x0, x1 = _extent(np.any(masks, axis=1))
    y0, y1 = _extent(np.any(masks, axis=2))
    return np.stack([x0, y0, x1, y1], axis=1)


def _extent(line: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Index of the first True and one past the last True of each row of (T, N); 0, 0 for a row without True."""
    nonempty = line.any(axis=1)
    first = line.argmax(axis=1)
    end = line.shape[1] - line[:, ::-1].argmax(axis=1)
    return np.where(nonempty, first, 0), np.where(nonempty, end, 0)
