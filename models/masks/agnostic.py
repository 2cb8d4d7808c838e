"""Shape-agnostic masks (Animate Anyone 2, arXiv:2502.06145, section 3.2).

The bounding box (h x w) of the character's mask is divided into k_h x k_w blocks, and each block is filled with its
maximum: the model sees where the character is, but not its outline. k is the *number* of blocks, so 1 gives the whole
box, and h and w give the mask itself.

The paper leaves open what happens when h is not a multiple of k_h. Here block i covers the rows floor(i h / k_h) to
floor((i + 1) h / k_h): the sizes of blocks differ by at most one pixel, and multiplying k by a whole number only
divides blocks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.masks.boxes import bounding_boxes

INFERENCE_BLOCK_PX = 10
"""The paper's inference rule is k_h = h / 10, k_w = w / 10: blocks of about ten pixels."""


class Blocks(NamedTuple):
    """Number of blocks into which a box is divided, down (k_h) and across (k_w)."""

    high: int
    wide: int


def draw_blocks(masks: NDArray[np.bool_], seed: int) -> Blocks:
    """Random k_h in 1..h, k_w in 1..w for training, where h and w are the clip's largest box (masks: (T, H, W)).

    One draw serves a whole clip, so that the blocks do not flicker; the paper does not say.
    """
    x0, y0, x1, y1 = bounding_boxes(masks).T
    generator = np.random.default_rng(seed)
    high, wide = generator.integers(1, [max(1, (y1 - y0).max()), max(1, (x1 - x0).max())], endpoint=True)
    return Blocks(int(high), int(wide))


def agnostic_masks(masks: NDArray[np.bool_], blocks: Blocks | None = None) -> NDArray[np.bool_]:
    """Shape-agnostic masks of character masks (T, H, W).

    `blocks` is held for all frames, and reduced to the box of a frame that is smaller (a block is at least one pixel).
    None is the inference rule, applied to the box of each frame and rounded, at least 1.
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
