"""The reference: a picture cropped to its character, fitted into the canvas of a network and set on a background."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.masks.boxes import bounding_boxes
from models.masks.resize import resize_masks
from models.pose.extent import CONFIDENT_SCORE

MARGIN_SHARE = 0.08
"""Room around the character on every side, relative to the longer side of its box."""
_SKELETON_MARGIN_SHARE = 0.1
"""Room for hair and clothes beyond the keypoints, relative to the longer side of their box."""
_NOISE_CELLS = (2, 9)
"""Least and largest number of cells (exclusive) along a side of a noise background."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CroppedCharacter:
    """A picture cropped to its character, of the canvas's size.

    `picture_HWC`: uint8. `keypoints_K3`: float32 in its pixels. `mask_HW`: bool, the character; None if not given.
    """

    picture_HWC: NDArray[np.uint8]
    keypoints_K3: NDArray[np.float32]
    mask_HW: NDArray[np.bool_] | None


def crop_to_character(
    picture_HWC: NDArray[np.uint8],
    keypoints_K3: NDArray[np.float32],
    *,
    size_px: tuple[int, int],
    mask_HW: NDArray[np.bool_] | None = None,
    margin_share: float = MARGIN_SHARE,
) -> CroppedCharacter:
    """Crop a picture to its character's box, as large as the canvas allows.

    Where the crop extends beyond the picture, its edge is repeated.

    Args:
        picture_HWC: uint8, of any size.
        keypoints_K3: (133, 3) in pixels of the picture; they give the box if there is no mask.
        size_px: height and width of the canvas.
        mask_HW: bool, the character in the picture.
        margin_share: see `MARGIN_SHARE`.

    Raises:
        ValueError: the mask is empty, or there is no mask and fewer than two keypoints reach `CONFIDENT_SCORE`.
    """
    left, top, width, height = _region(keypoints_K3, mask_HW, size_px, margin_share)
    picture = _cut(picture_HWC, (left, top, width, height))
    method = cv2.INTER_AREA if size_px[0] * size_px[1] < height * width else cv2.INTER_CUBIC
    keypoints = keypoints_K3.astype(np.float32, copy=True)
    corner, share = np.array([left, top]), np.array([size_px[1] / width, size_px[0] / height])
    keypoints[:, :2] = (keypoints[:, :2] + 0.5 - corner) * share - 0.5
    mask = None
    if mask_HW is not None:
        inside = _cut(mask_HW.view(np.uint8), (left, top, width, height), border=cv2.BORDER_CONSTANT)
        mask = resize_masks(inside.view(np.bool_)[None], size_px)[0]
    return CroppedCharacter(
        picture_HWC=cv2.resize(picture, size_px[::-1], interpolation=method), keypoints_K3=keypoints, mask_HW=mask
    )


def on_background(
    picture_HWC: NDArray[np.uint8], mask_HW: NDArray[np.bool_], background_HWC: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """The pixels of the mask on another background; all of one size."""
    return np.where(mask_HW[..., None], picture_HWC, background_HWC)


def random_background(size_px: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A colour, a gradient or blurred noise, each as often: uint8 (H, W, 3)."""
    height, width = size_px
    kind = rng.integers(3)
    if kind == 0:
        return np.broadcast_to(rng.integers(256, size=3, dtype=np.uint8), (height, width, 3)).copy()
    # Few cells, interpolated: two along one side are a gradient.
    cells = (2, 2) if kind == 1 else tuple(rng.integers(*_NOISE_CELLS, size=2).tolist())
    noise = rng.integers(256, size=(*cells, 3), dtype=np.uint8)
    background: NDArray[np.uint8] = cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)
    return background


def _region(
    keypoints_K3: NDArray[np.float32],
    mask_HW: NDArray[np.bool_] | None,
    size_px: tuple[int, int],
    margin_share: float,
) -> tuple[int, int, int, int]:
    """Left, top, width and height of the crop, of the canvas's aspect ratio to half a pixel."""
    if mask_HW is not None:
        if not mask_HW.any():
            raise ValueError("the character's mask is empty; give a picture that shows the character")
        low, high = bounding_boxes(mask_HW[None])[0].reshape(2, 2).astype(float)
    else:
        points = keypoints_K3[keypoints_K3[:, 2] >= CONFIDENT_SCORE, :2].astype(float)
        if len(points) < 2:
            raise ValueError(
                f"expected at least 2 keypoints that score {CONFIDENT_SCORE} or a mask, got {len(points)} keypoints; "
                "give a picture that shows the character"
            )
        low, high = points.min(axis=0), points.max(axis=0) + 1
        margin_share += _SKELETON_MARGIN_SHARE
    sides = high - low
    width, height = sides + 2 * margin_share * sides.max()
    scale = max(height / size_px[0], width / size_px[1])
    width, height = (max(1, round(side * scale)) for side in size_px[::-1])
    left, top = (round(centre - side / 2) for centre, side in zip((low + high) / 2, (width, height), strict=True))
    return left, top, width, height


def _cut(
    image: NDArray[np.uint8], region: tuple[int, int, int, int], *, border: int = cv2.BORDER_REPLICATE
) -> NDArray[np.uint8]:
    """The region of an image, continued beyond its edges."""
    left, top, width, height = region
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + width, image.shape[1]), min(top + height, image.shape[0])
    part = image[y0:y1, x0:x1]
    if part.shape[:2] == (height, width):
        return part
    beyond = (y0 - top, top + height - y1, x0 - left, left + width - x1)
    continued: NDArray[np.uint8] = cv2.copyMakeBorder(part, *beyond, border)
    return continued
