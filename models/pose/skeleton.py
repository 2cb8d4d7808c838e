"""The 133-keypoint layout of COCO-WholeBody: names, groups, limbs, the mirror permutation and scaling.

Order: 17 body, 6 feet, 68 face (the iBUG order), 21 left hand, 21 right hand (COCO-WholeBody, Jin et al. 2020,
arXiv:2007.11858). Left and right are the character's own: facing the camera, its left is at larger x.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Float = TypeVar("Float", np.float32, np.float64)

NUM_KEYPOINTS = 133
BODY = slice(0, 17)
FEET = slice(17, 23)
FACE = slice(23, 91)
LEFT_HAND = slice(91, 112)
RIGHT_HAND = slice(112, 133)
GROUPS: Mapping[str, slice] = MappingProxyType(
    {"body": BODY, "feet": FEET, "face": FACE, "left_hand": LEFT_HAND, "right_hand": RIGHT_HAND}
)

_SIDES = ("left", "right")
_PAIRS = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
NUM_FACE_LANDMARKS = 68
EYES, MOUTH = slice(36, 48), slice(48, 68)
"""Face landmarks."""


def _keypoint_names() -> tuple[str, ...]:
    body = ["nose", *(f"{side}_{part}" for part in _PAIRS for side in _SIDES)]
    feet = [f"{side}_{part}" for side in _SIDES for part in ("big_toe", "small_toe", "heel")]
    face = [f"face_{index}" for index in range(NUM_FACE_LANDMARKS)]
    hands = [
        name
        for side in _SIDES
        for name in (
            f"{side}_hand_wrist",
            *(f"{side}_{finger}_{joint}" for finger in _FINGERS for joint in range(1, 5)),
        )
    ]
    return (*body, *feet, *face, *hands)


KEYPOINT_NAMES: tuple[str, ...] = _keypoint_names()
INDEX: Mapping[str, int] = MappingProxyType({name: index for index, name in enumerate(KEYPOINT_NAMES)})


def _limb(first: str, second: str) -> tuple[int, int]:
    return INDEX[first], INDEX[second]


LIMBS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        name: pair
        for side in _SIDES
        for name, pair in {
            f"{side}_upper_arm": _limb(f"{side}_shoulder", f"{side}_elbow"),
            f"{side}_forearm": _limb(f"{side}_elbow", f"{side}_wrist"),
            f"{side}_hand": _limb(f"{side}_hand_wrist", f"{side}_middle_1"),
            f"{side}_thigh": _limb(f"{side}_hip", f"{side}_knee"),
            f"{side}_shin": _limb(f"{side}_knee", f"{side}_ankle"),
            f"{side}_foot": _limb(f"{side}_ankle", f"{side}_big_toe"),
            f"{side}_side": _limb(f"{side}_shoulder", f"{side}_hip"),
        }.items()
    }
    | {"shoulders": _limb("left_shoulder", "right_shoulder"), "hips": _limb("left_hip", "right_hip")}
)
"""Limb name -> the two keypoints it joins. The depth of a limb is the mean depth of the two."""

BODY_LIMBS: tuple[tuple[int, int], ...] = (
    *(LIMBS[f"{side}_{part}"] for side in _SIDES for part in ("upper_arm", "forearm", "thigh", "shin", "side")),
    LIMBS["shoulders"],
    LIMBS["hips"],
    *(_limb("nose", f"{side}_eye") for side in _SIDES),
    *(_limb(f"{side}_eye", f"{side}_ear") for side in _SIDES),
    *(_limb(f"{side}_ear", f"{side}_shoulder") for side in _SIDES),
)
"""Keypoint pairs to draw as a body skeleton (no hands, no feet, no face)."""

FEET_LIMBS: tuple[tuple[int, int], ...] = tuple(
    _limb(f"{side}_ankle", f"{side}_{part}") for side in _SIDES for part in ("big_toe", "small_toe", "heel")
)


def _hand_limbs(side: str) -> tuple[tuple[int, int], ...]:
    chains = [[f"{side}_hand_wrist", *(f"{side}_{finger}_{joint}" for joint in range(1, 5))] for finger in _FINGERS]
    return tuple(_limb(a, b) for chain in chains for a, b in pairwise(chain))


LEFT_HAND_LIMBS = _hand_limbs("left")
RIGHT_HAND_LIMBS = _hand_limbs("right")

# Pairs of face landmarks that swap when a face is mirrored.
_FACE_MIRROR_PAIRS: tuple[tuple[int, int], ...] = (
    *((i, 16 - i) for i in range(8)),  # jaw
    *((17 + i, 26 - i) for i in range(5)),  # eyebrows
    *((31 + i, 35 - i) for i in range(2)),  # nostrils
    *zip((36, 37, 38, 39, 40, 41), (45, 44, 43, 42, 47, 46), strict=True),  # eyes
    *((48 + i, 54 - i) for i in range(3)),  # upper lip
    *zip((60, 61, 67, 59, 58), (64, 63, 65, 55, 56), strict=True),  # inner lips, lower lip
)


def _mirror_permutation() -> NDArray[np.int64]:
    mirror = np.arange(NUM_KEYPOINTS)
    for index, name in enumerate(KEYPOINT_NAMES):
        side, _, rest = name.partition("_")
        if side in _SIDES:
            other = _SIDES[1 - _SIDES.index(side)]
            mirror[index] = INDEX[f"{other}_{rest}"]
    for first, second in _FACE_MIRROR_PAIRS:
        a, b = FACE.start + first, FACE.start + second
        mirror[a], mirror[b] = b, a
    mirror.setflags(write=False)
    return mirror


MIRROR: NDArray[np.int64] = _mirror_permutation()
"""(133,) int64: keypoint k of a mirrored image is keypoint MIRROR[k] of the original."""


def mirror_keypoints(keypoints: NDArray[np.float32], *, width_px: int) -> NDArray[np.float32]:
    """Keypoints of the horizontally flipped image.

    `keypoints`: (..., 133, 3) float32, x and y in pixels, then score or visibility.
    """
    mirrored = keypoints[..., MIRROR, :].copy()
    mirrored[..., 0] = width_px - 1 - mirrored[..., 0]
    return mirrored


def scale_keypoints(
    keypoints: NDArray[Float], from_size_px: tuple[float, float], to_size_px: tuple[float, float]
) -> NDArray[Float]:
    """Keypoints of the image resized from one (height, width) to another. Returns a copy.

    Pixel centres have integer coordinates, so the image's edges are at -0.5 and `size - 0.5`.

    Args:
        keypoints: (..., 2 or more) x and y in pixels; further values, such as a score, stay.
        from_size_px: (height, width) of the image that the keypoints are of.
        to_size_px: (height, width) of the resized image.
    """
    scale = np.array([to_size_px[1] / from_size_px[1], to_size_px[0] / from_size_px[0]], keypoints.dtype)
    scaled = keypoints.copy()
    scaled[..., :2] = (keypoints[..., :2] + 0.5) * scale - 0.5
    return scaled
