"""Limb-wise image warping of a character to other poses: a rough draft of an animation, as input for a network.

Each body part is a strip of the picture along the line between two keypoints, drawn along the same line of the target
pose: scaled to its length there, with the width of the picture. The character's original area is inpainted. There is no
mask: part widths are those of an average build, so a limb may carry some background along.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

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
    """A strip between two points, each the mean of some keypoints: `start` and `end`.

    `before`, `beyond`: extension at the start and the end. `half_width`: extension to both sides. All are shares of the
    character's size.
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
"""Body parts from back to front, for a character facing the camera."""


class LimbWarp:
    """Warps a picture of a character to other poses."""

    def __init__(
        self,
        picture_HWC: Picture,
        keypoints_K3: Keypoints,
        *,
        mask_HW: NDArray[np.bool_] | None = None,
        min_score: float = CONFIDENT_SCORE,
    ) -> None:
        """`picture_HWC`: uint8 (H, W, 3). `keypoints_K3`: (133, 3), keypoints of its character in its pixels.
        `mask_HW`: the character's pixels, each of which moves with the nearest part, however far it is; None: each part
        is a strip of its own width, with what lies beside the limb.

        Raises:
            ValueError: a point that scores `min_score` or more is not finite.
        """
        self._picture, self._min_score = picture_HWC, min_score
        self._size_px = character_size_px(keypoints_K3[None], min_score=min_score)
        self._parts = _lines(*with_centres(keypoints_K3, min_score))
        self._owners = None if mask_HW is None else self._owners_of(mask_HW)

    def __call__(self, poses_TK3: Keypoints) -> Picture:
        """Warp the character to poses (T, 133, 3) in pixels of the picture; returns uint8 (T, H, W, 3).

        A part with an end that is not visible in the pose keeps its position in the picture.

        Raises:
            ValueError: a point that scores `min_score` or more is not finite.
        """
        return self.onto(np.repeat(self._background[None], len(poses_TK3), axis=0), poses_TK3)

    def onto(self, canvases_THWC: Picture, poses_TK3: Keypoints, *, scale: float = 1.0) -> Picture:
        """Draw the character in poses (T, 133, 3) onto canvases, in place; returns them.

        `scale`: size of the character on the canvases, relative to the picture.

        Raises:
            ValueError: as `__call__`.
        """
        for canvas, points, visible in zip(canvases_THWC, *with_centres(poses_TK3, self._min_score), strict=True):
            targets = _lines(points, visible)
            for part, line in self._parts.items():
                target = targets.get(part, line if scale == 1.0 else None)
                if target is not None:
                    self._draw_part(canvas, part, line, target, scale)
        return canvases_THWC

    def _owners_of(self, mask_HW: NDArray[np.bool_]) -> _Owners:
        """The part that each pixel of the mask moves with."""
        distances, reaches = [], {}
        for part, line in self._parts.items():
            along, across = _positions(line, *_grid(slice(0, mask_HW.shape[0]), slice(0, mask_HW.shape[1])))
            distances.append(_distance_px(part, line, self._size_px, along, across))
        numbers = np.zeros(mask_HW.shape, np.uint8)
        if distances:
            numbers[mask_HW] = 1 + np.stack(distances)[:, mask_HW].argmin(axis=0)
        for number, (part, line) in enumerate(self._parts.items(), start=1):
            rows, columns = np.nonzero(numbers == number)
            along, across = _positions(line, columns.astype(np.float32), rows.astype(np.float32))
            reaches[part] = _Reach(
                before_px=float(max(-along.min(initial=0), 0)),
                beyond_px=float(max((along - line.length_px).max(initial=0), 0)),
                across_px=float(abs(across).max(initial=0)),
            )
        return _Owners(numbers_HW=numbers, reaches=reaches)

    def scale_to(self, poses_TK3: Keypoints) -> float:
        """Size of a character in poses (T, 133, 3), relative to the picture's: the ratio of the summed lengths of all
        parts that both have, median over frames; 1 where they have none in common.
        """
        ratios = []
        for points, visible in zip(*with_centres(poses_TK3, self._min_score), strict=True):
            targets = _lines(points, visible)
            common = targets.keys() & self._parts.keys()
            if common:
                of_target, of_picture = (
                    sum(lines[part].length_px for part in common) for lines in (targets, self._parts)
                )
                ratios.append(of_target / of_picture)
        return float(np.median(ratios)) if ratios else 1.0

    def _draw_part(self, canvas: Picture, part: _Part, source: _Line, target: _Line, scale: float) -> None:
        """Draw a part of the picture along its line in the target pose."""
        reach = None if self._owners is None else self._owners.reaches[part]
        strip = _strip(part, target, self._size_px * scale, canvas.shape, reach and reach.scaled(scale))
        if strip is None:
            return
        box, along, across, inside = strip
        # A part is stretched between its ends; beyond them it has the character's scale.
        share = np.clip(along / target.length_px, 0, 1)
        beyond = along - np.clip(along, 0, target.length_px)
        along = along + share * (source.length_px - target.length_px) + beyond * np.float32(1 / scale - 1)
        across = across / np.float32(scale)
        x = source.start[0] + along * source.along[0] + across * source.across[0]
        y = source.start[1] + along * source.along[1] + across * source.across[1]
        moved = cv2.remap(self._picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        if self._owners is not None:
            owners = cv2.remap(self._owners.numbers_HW, x, y, cv2.INTER_NEAREST)
            inside = (owners == list(self._parts).index(part) + 1) | (inside & (owners > 0))
        canvas[box][inside] = moved[inside]

    @cached_property
    def _background(self) -> Picture:
        """The picture with the area of its character inpainted."""
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
    """Start, direction (a unit vector) and length of a part."""

    start: NDArray[np.float32]
    along: NDArray[np.float32]
    length_px: float

    @property
    def across(self) -> NDArray[np.float32]:
        return np.array([-self.along[1], self.along[0]], np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reach:
    """Pixels that a part extends before its start, beyond its end, and to both sides."""

    before_px: float
    beyond_px: float
    across_px: float

    def scaled(self, scale: float) -> _Reach:
        return _Reach(
            before_px=self.before_px * scale, beyond_px=self.beyond_px * scale, across_px=self.across_px * scale
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Owners:
    """`numbers_HW`: uint8, number of the part that a pixel moves with, from 1; 0 outside the character."""

    numbers_HW: NDArray[np.uint8]
    reaches: dict[_Part, _Reach]


def _lines(points: Points, visible: Visibility) -> dict[_Part, _Line]:
    """Lines of the parts whose ends are visible, from back to front."""
    lines = {part: _line(part, points, visible) for part in _PARTS}
    return {part: line for part, line in lines.items() if line is not None}


def _line(part: _Part, points: Points, visible: Visibility) -> _Line | None:
    """Line of a part; None if an end is not visible or the ends are less than half a pixel apart."""
    if not visible[[*part.start, *part.end]].all():
        return None
    start, end = points[list(part.start)].mean(axis=0), points[list(part.end)].mean(axis=0)
    length = float(np.hypot(*(end - start)))
    if length < 0.5:
        return None
    return _Line(start=start.astype(np.float32), along=((end - start) / length).astype(np.float32), length_px=length)


def _strip(
    part: _Part, line: _Line, size_px: float, shape: tuple[int, ...], reach: _Reach | None = None
) -> tuple[tuple[slice, slice], NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]] | None:
    """Bounding box of a part in a picture of `shape`, and for each of its pixels the position along and across the
    line, and whether it belongs to the part's strip. None outside the picture.

    `reach`: extension of the box, where it is more than the strip's.
    """
    half, before, beyond = part.half_width * size_px, part.before * size_px, part.beyond * size_px
    if reach is not None:
        before, beyond, across_px = (
            max(own, other)
            for own, other in ((before, reach.before_px), (beyond, reach.beyond_px), (half, reach.across_px))
        )
    else:
        across_px = half
    ends = np.stack([line.start - before * line.along, line.start + (line.length_px + beyond) * line.along])
    low = np.clip(np.floor(ends.min(axis=0) - across_px), 0, shape[1::-1]).astype(int)
    high = np.clip(np.ceil(ends.max(axis=0) + across_px) + 1, 0, shape[1::-1]).astype(int)
    if (low >= high).any():
        return None
    box = (slice(low[1], high[1]), slice(low[0], high[0]))
    along, across = _positions(line, *_grid(*box))
    return box, along, across, _distance_px(part, line, size_px, along, across) < 0


def _grid(rows: slice, columns: slice) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Coordinates x (W) and y (H, 1) of the pixels of a box."""
    x = np.arange(columns.start, columns.stop, dtype=np.float32)
    return x, np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]


def _positions(
    line: _Line, x: NDArray[np.float32], y: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Positions of pixels along and across a line."""
    x, y = x - line.start[0], y - line.start[1]
    return x * line.along[0] + y * line.along[1], x * line.across[0] + y * line.across[1]


def _distance_px(
    part: _Part, line: _Line, size_px: float, along: NDArray[np.float32], across: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Distances of pixels from the edge of a part's strip, negative inside."""
    half, before, beyond = part.half_width * size_px, part.before * size_px, part.beyond * size_px
    outside = np.maximum(np.maximum(-before - along, along - line.length_px - beyond), 0)
    distances: NDArray[np.float32] = np.sqrt(outside**2 + across**2) - np.float32(half)
    return distances
