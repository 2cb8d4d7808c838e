"""Shape-agnostic masks (Animate Anyone 2, arXiv:2502.06145, section 3.2).

The bounding box (h x w) of the character's mask is divided into k_h x k_w blocks, and each block is filled with its
maximum, which hides the outline of the character but not its position. k is the *number* of blocks: 1 gives the whole
box, h and w give the mask itself.

The paper does not specify the case in which h is not a multiple of k_h. Here block i covers the rows floor(i h / k_h)
to floor((i + 1) h / k_h): block sizes differ by at most one pixel, and multiplying k by an integer subdivides blocks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.masks.boxes import bounding_boxes

INFERENCE_BLOCK_PX = 10
"""Block size at inference: the paper's rule is k_h = h / 10, k_w = w / 10."""


class Blocks(NamedTuple):
    """Number of blocks of a box, vertically (k_h) and horizontally (k_w)."""

    high: int
    wide: int


def draw_blocks(masks: NDArray[np.bool_], seed: int) -> Blocks:
    """Random k_h in 1..h, k_w in 1..w for training, where h x w is the clip's largest box (masks: (T, H, W)).

    One draw per clip, so that the blocks do not flicker; the paper does not specify this.
    """
    x0, y0, x1, y1 = bounding_boxes(masks).T
    generator = np.random.default_rng(seed)
    high, wide = generator.integers(1, [max(1, (y1 - y0).max()), max(1, (x1 - x0).max())], endpoint=True)
    return Blocks(int(high), int(wide))


def agnostic_masks(masks: NDArray[np.bool_], blocks: Blocks | None = None) -> NDArray[np.bool_]:
    """Shape-agnostic masks of character masks (T, H, W).

    `blocks` applies to all frames, limited to the size of the frame's box (a block is at least one pixel). None applies
    the inference rule to the box of each frame, rounded, at least 1.
    """
    if blocks is not None and min(blocks) < 1:
        raise ValueError(f"the number of blocks must be at least 1 in both directions, got {blocks}")
    filled = np.zeros_like(masks)
    for t, (x0, y0, x1, y1) in enumerate(bounding_boxes(masks).tolist()):
        if x1 > x0:
            high, wide = blocks or (max(1, round(side / INFERENCE_BLOCK_PX)) for side in (y1 - y0, x1 - x0))
            filled[t, y0:y1, x0:x1] = _fill(masks[t, y0:y1, x0:x1], min(high, y1 - y0), min(wide, x1 - x0))
    return filled


def _fill(box: NDArray[np.bool_], high: int, wide: int) -> NDArray[np.bool_]:
    height, width = box.shape
    edges_y = np.arange(high + 1) * height // high
    edges_x = np.arange(wide + 1) * width // wide
    maxima = np.logical_or.reduceat(np.logical_or.reduceat(box, edges_y[:-1], axis=0), edges_x[:-1], axis=1)
    return maxima.repeat(np.diff(edges_y), axis=0).repeat(np.diff(edges_x), axis=1)
