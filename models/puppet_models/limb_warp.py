"""A picture of a character moved limb by limb into other poses: a rough draft of what an animation shows.

Each part of the body is a strip of the picture along a line between two keypoints, laid along the same line of the
other pose: as long as the line is there, and as wide as in the picture. What the character covered is filled in from
around it. No mask is asked for: widths are those of an ordinary build, so that some of what is around a limb moves
along with it. It is for a network to see, which puts it right.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pose.extent import CONFIDENT_SCORE, character_size_px
from models.pose.proportions import MID_HIP, NECK, Points, Visibility, with_centres
from models.pose.skeleton import INDEX

Picture = NDArray[np.uint8]
Keypoints = NDArray[np.float32]

_INPAINT_RADIUS_PX = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """A strip from the middle of the points `start` to that of `end`, reaching `before` the one and `beyond` the other
    and `half_width` to both sides, as shares of the character's size.
    """

    start: tuple[int, ...]
    end: tuple[int, ...]
    half_width: float
    before: float = 0.0
    beyond: float = 0.0


def _leg(side: str) -> tuple[_Part, ...]:
    hip, knee, ankle, toe = ((INDEX[f"{side}_{joint}"],) for joint in ("hip", "knee", "ankle", "big_toe"))
    return (
        _Part(start=hip, end=knee, half_width=0.07, before=0.03),
        _Part(start=knee, end=ankle, half_width=0.06, beyond=0.03),
        _Part(start=ankle, end=toe, half_width=0.055, before=0.03, beyond=0.03),
    )


def _arm(side: str) -> tuple[_Part, ...]:
    shoulder, elbow, wrist = ((INDEX[f"{side}_{joint}"],) for joint in ("shoulder", "elbow", "wrist"))
    return (
        _Part(start=shoulder, end=elbow, half_width=0.055, before=0.03),
        _Part(start=elbow, end=wrist, half_width=0.05, beyond=0.075),
    )


_PARTS = (
    *_leg("left"),
    *_leg("right"),
    _Part(start=(NECK,), end=(MID_HIP,), half_width=0.125, before=0.03, beyond=0.075),
    _Part(start=(NECK,), end=(INDEX["left_ear"], INDEX["right_ear"]), half_width=0.2, beyond=0.2),
    *_arm("left"),
    *_arm("right"),
)
"""From back to front, for somebody who faces the camera."""


class LimbWarp:
    """A picture of a character, to be moved into other poses."""

    def __init__(self, picture_HWC: Picture, keypoints_K3: Keypoints, *, min_score: float = CONFIDENT_SCORE) -> None:
        """`picture_HWC`: uint8 (H, W, 3). `keypoints_K3`: (133, 3), its character's, in its pixels, with scores.

        Raises:
            ValueError: a point of at least `min_score` that is not finite.
        """
        self._picture, self._min_score = picture_HWC, min_score
        self._size_px = character_size_px(keypoints_K3[None], min_score=min_score)
        self._parts = _lines(*with_centres(keypoints_K3, min_score))
        self._background = self._without_character()

    def __call__(self, poses_TK3: Keypoints) -> Picture:
        """uint8 (T, H, W, 3): the character in each of the poses (T, 133, 3), which are in the picture's pixels.

        A part stays where it is in the picture where one of its ends is not known in the pose.

        Raises:
            ValueError: a point of at least the least score that is not finite.
        """
        warped = np.repeat(self._background[None], len(poses_TK3), axis=0)
        for canvas, points, seen in zip(warped, *with_centres(poses_TK3, self._min_score), strict=True):
            there = _lines(points, seen)
            for part, line in self._parts.items():
                self._lay(canvas, part, line, there.get(part, line))
        return warped

    def _lay(self, canvas: Picture, part: _Part, own: _Line, there: _Line) -> None:
        """Paint a part of the picture along its line in another pose."""
        strip = _strip(part, there, self._size_px, canvas.shape)
        if strip is None:
            return
        box, along, across, inside = strip
        # Between its ends a part is stretched; beyond them it is as it was.
        share = np.clip(along / there.length_px, 0, 1)
        along = along + share * (own.length_px - there.length_px)
        x = own.start[0] + along * own.along[0] + across * own.across[0]
        y = own.start[1] + along * own.along[1] + across * own.across[1]
        moved = cv2.remap(self._picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        canvas[box][inside] = moved[inside]

    def _without_character(self) -> Picture:
        """The picture with what its character covers filled in from around it."""
        covered = np.zeros(self._picture.shape[:2], np.uint8)
        for part, line in self._parts.items():
            strip = _strip(part, line, self._size_px, self._picture.shape)
            if strip is not None:
                box, *_, inside = strip
                covered[box] |= inside.astype(np.uint8)
        if not covered.any() or covered.all():
            return self._picture
        filled: Picture = cv2.inpaint(self._picture, covered, _INPAINT_RADIUS_PX, cv2.INPAINT_TELEA)
        return filled


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    """Where a part begins, which way it goes (a unit vector), and how far."""

    start: NDArray[np.float32]
    along: NDArray[np.float32]
    length_px: float

    @property
    def across(self) -> NDArray[np.float32]:
        return np.array([-self.along[1], self.along[0]], np.float32)


def _lines(points: Points, seen: Visibility) -> dict[_Part, _Line]:
    """Of the parts whose ends are known, from back to front."""
    lines = {part: _line(part, points, seen) for part in _PARTS}
    return {part: line for part, line in lines.items() if line is not None}


def _line(part: _Part, points: Points, seen: Visibility) -> _Line | None:
    """None where an end is unknown, or both are at one place, which is no direction."""
    if not seen[[*part.start, *part.end]].all():
        return None
    start, end = points[list(part.start)].mean(axis=0), points[list(part.end)].mean(axis=0)
    length = float(np.hypot(*(end - start)))
    if length < 0.5:
        return None
    return _Line(start=start.astype(np.float32), along=((end - start) / length).astype(np.float32), length_px=length)


def _strip(
    part: _Part, line: _Line, size_px: float, shape: tuple[int, ...]
) -> tuple[tuple[slice, slice], NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]] | None:
    """The box around a part in a picture of `shape`; in it, how far along and across each pixel is, and whether it is
    of the part. None off the picture.
    """
    half, before, beyond = part.half_width * size_px, part.before * size_px, part.beyond * size_px
    ends = np.stack([line.start - before * line.along, line.start + (line.length_px + beyond) * line.along])
    low = np.clip(np.floor(ends.min(axis=0) - half), 0, shape[1::-1]).astype(int)
    high = np.clip(np.ceil(ends.max(axis=0) + half) + 1, 0, shape[1::-1]).astype(int)
    if (low >= high).any():
        return None
    x = np.arange(low[0], high[0], dtype=np.float32) - line.start[0]
    y = np.arange(low[1], high[1], dtype=np.float32)[:, None] - line.start[1]
    along, across = x * line.along[0] + y * line.along[1], x * line.across[0] + y * line.across[1]
    outside = np.maximum(np.maximum(-before - along, along - line.length_px - beyond), 0)
    return (slice(low[1], high[1]), slice(low[0], high[0])), along, across, outside**2 + across**2 < half**2
