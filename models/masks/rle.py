"""COCO run-length encoding (RLE) of masks, the format of mask columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

MAX_PIXELS = 8192 * 8192
"""Maximum mask size in `decode`: a code of twenty bytes could otherwise allocate terabytes."""


class RLE(TypedDict):
    """Run-length code of one mask: `size` is [height, width], `counts` the compressed column-major run lengths."""

    size: list[int]
    counts: bytes


def encode(masks: NDArray[np.bool_]) -> list[RLE]:
    """Run-length codes of bool masks (T, H, W), one per frame.

    Raises:
        ValueError: the masks are not bool, not three-dimensional, or have a side of 0.
    """
    if masks.ndim != 3 or masks.dtype != np.bool_ or 0 in masks.shape[1:]:
        raise ValueError(f"masks must be bool (T, H, W) with H and W above 0, got {masks.dtype} {masks.shape}")
    if len(masks) == 0:
        return []
    codes = coco.encode(np.asfortranarray(masks.view(np.uint8).transpose(1, 2, 0)))
    return [RLE(size=[int(side) for side in code["size"]], counts=bytes(code["counts"])) for code in codes]


def decode(codes: Sequence[Mapping[str, Any]]) -> NDArray[np.bool_]:
    """Masks (T, H, W) of the run-length codes of one clip.

    Run lengths are validated first: pycocotools' own decoder returns uninitialised memory if they do not cover the
    mask, and is slower.

    Raises:
        ValueError: `codes` is empty, the sizes differ, or a code is damaged; the message names the frame.
        TypeError: `counts` is not bytes.
    """
    if len(codes) == 0:
        raise ValueError("cannot decode 0 masks: their size is unknown; expected one code per frame")
    height, width = _size(codes[0], 0)
    masks = np.empty((len(codes), height, width), np.bool_)
    for t, code in enumerate(codes):
        if _size(code, t) != (height, width):
            raise ValueError(f"mask of frame {t} has size {list(code['size'])}, but frame 0 has {[height, width]}")
        runs = _run_lengths(code["counts"], t)
        if runs.sum() != height * width:
            raise ValueError(
                f"mask of frame {t} is damaged: its runs cover {runs.sum()} pixels, expected {height} x {width}"
            )
        columns = np.repeat(np.arange(len(runs), dtype=np.uint8) & 1, runs).reshape(width, height)
        masks[t] = cv2.transpose(columns)  # several times faster than numpy's
    return masks


def areas(codes: Sequence[Mapping[str, Any]]) -> NDArray[np.int64]:
    """Number of pixels (T) of the masks of one clip, without decoding them.

    Raises:
        ValueError: a code is damaged; the message names the frame.
        TypeError: `counts` is not bytes.
    """
    return np.array([_run_lengths(code["counts"], t)[1::2].sum() for t, code in enumerate(codes)], np.int64)


def _size(code: Mapping[str, Any], t: int) -> tuple[int, int]:
    try:
        height, width = (int(side) for side in code["size"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"mask of frame {t} must have a 'size' of [height, width], got {code!r:.200}") from error
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise ValueError(f"mask of frame {t} has size {[height, width]}; expected 1 to {MAX_PIXELS} pixels")
    return height, width


def _run_lengths(counts: object, t: int) -> NDArray[np.int64]:
    """Run lengths, alternately background and foreground.

    COCO's encoding stores each number in groups of five bits, lowest first, as the characters 48 to 111: bit 5 is set
    if another group follows, bit 4 of the last group is the sign. From the fourth number on, the difference to the
    number two positions earlier is stored.
    """
    if isinstance(counts, str):
        counts = counts.encode()
    if not isinstance(counts, bytes):
        raise TypeError(f"mask of frame {t} must have 'counts' in bytes, got {type(counts).__name__}")
    groups = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
    if len(groups) == 0 or groups.min() < 0 or groups.max() > 63 or groups[-1] & 32:
        raise ValueError(f"mask of frame {t} is damaged: {counts[:40]!r} is not a COCO run-length code")
    last = np.flatnonzero((groups & 32) == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    num_groups = last - first + 1
    if num_groups.max() > 7:
        raise ValueError(f"mask of frame {t} is damaged: a number has {num_groups.max()} groups, expected at most 7")
    shift = 5 * (np.arange(len(groups)) - np.repeat(first, num_groups))
    runs = np.add.reduceat((groups & 31) << shift, first)
    runs -= np.where(groups[last] & 16, 1 << 5 * num_groups, 0)
    runs[1::2] = runs[1::2].cumsum()
    runs[2::2] = runs[2::2].cumsum()
    if runs.min() < 0:
        raise ValueError(f"mask of frame {t} is damaged: a run length is {runs.min()}")
    return runs
