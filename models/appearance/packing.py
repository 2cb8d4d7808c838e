"""Serialisation of frame features for dataset columns: half-precision bytes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

STORED = np.dtype("<f2")
"""Stored dtype: little-endian half precision."""


def pack(features_T: NDArray[np.float16]) -> tuple[list[bytes], list[int]]:
    """Serialise features (T, …). Returns the bytes of each frame and the shape of a frame's features."""
    return [np.ascontiguousarray(frame, STORED).tobytes() for frame in features_T], list(features_T.shape[1:])


def unpack(packed_T: Sequence[bytes], shape: Sequence[int]) -> NDArray[np.float16]:
    """Inverse of `pack`.

    Raises:
        ValueError: the number of bytes of a frame does not match the shape.
    """
    expected = STORED.itemsize * int(np.prod(shape, dtype=np.int64))
    if wrong := [len(frame) for frame in packed_T if len(frame) != expected]:
        raise ValueError(f"features of shape {tuple(shape)} have {expected} bytes in a frame, got {wrong[0]}")
    values = np.frombuffer(b"".join(packed_T), STORED).reshape(len(packed_T), *shape)
    return values.astype(np.float16, copy=False)
