"""Face box, eyes and mouth from the 68 landmarks of the iBUG order, with the numbers of X-Dyna's public code
(arXiv 2501.10021, §3.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from models.pose.extent import CONFIDENT_SCORE
from models.pose.skeleton import NUM_FACE_LANDMARKS

MIN_FACE_PX = 16
"""Minimum height of a face whose expression can be read."""
MIN_LANDMARKS = NUM_FACE_LANDMARKS // 2
"""Minimum number of confident landmarks of a face."""

# The public code leaves out the first point of each part; kept, since its networks were trained so.
PARTS = (slice(43, 48), slice(37, 42), slice(49, 68))
"""Landmarks of the left eye, the right eye and the mouth whose means are the centres of the patches."""

# Distances from the centre of the landmarks' box to the sides of the face box, in units of its longer side.
_LEFT, _TOP, _RIGHT, _BOTTOM = 1.35, 1.25, 1.35, 1.45
_HALF_PATCH = 64 / 512  # of the face box's sides

Rectangle = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels; the end is exclusive."""
_EMPTY: Rectangle = (0, 0, 0, 0)


class Absence(StrEnum):
    """Reason why a frame has no face of its own."""

    NOT_SEEN = "not seen"
    TOO_SMALL = "too small"
    NOT_DRAWN = "not drawn"


@dataclass(frozen=True, kw_only=True, slots=True)
class FaceRegions:
    """Face boxes and patches of T frames of H × W pixels.

    `boxes_T4`: int32 x0, y0, x1, y1, end exclusive, inside the frame.
    `patches_T34`: int32, likewise, of the left eye, the right eye and the mouth; empty (zeros) for a part without a
      confident landmark.
    `source_T`: int32 index of the frame whose landmarks gave the regions: the frame itself, the last one with a face,
      or -1 and empty regions before the first one.
    `absences`: why a frame has no face of its own, None where it has one.
    """

    boxes_T4: NDArray[np.int32]
    patches_T34: NDArray[np.int32]
    source_T: NDArray[np.int32]
    absences: tuple[Absence | None, ...]

    @property
    def seen_T(self) -> NDArray[np.bool_]:  # noqa: N802 (named by its shape)
        """Bool (T,): whether the frame has a face of its own."""
        seen: NDArray[np.bool_] = self.source_T == np.arange(len(self.source_T))
        return seen


def landmark_rectangle(landmarks_L2: NDArray[np.floating]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of landmarks (L, 2)."""
    (left, top), (right, bottom) = landmarks_L2.min(axis=0).tolist(), landmarks_L2.max(axis=0).tolist()
    return left, top, right, bottom


def face_box(landmarks_L2: NDArray[np.floating], size_px: tuple[int, int]) -> Rectangle:
    """Face box around landmarks (L, 2), cut to a frame of (height, width); empty if the face is outside of it."""
    left, top, right, bottom = landmark_rectangle(landmarks_L2)
    x, y, side = (left + right) / 2, (top + bottom) / 2, max(right - left, bottom - top)
    box = int(x - _LEFT * side), int(y - _TOP * side), int(x + _RIGHT * side), int(y + _BOTTOM * side)
    return _cut(box, size_px)


def face_patches(
    landmarks_68_2: NDArray[np.floating], confident_68: NDArray[np.bool_], box: Rectangle, size_px: tuple[int, int]
) -> NDArray[np.int32]:
    """Patches of `PARTS`, int32 (3, 4), of a quarter of the box's sides, cut to a frame of (height, width).

    The public code makes no patch of one that crosses the left or upper border; here it is cut.
    """
    half_width, half_height = (int((box[i + 2] - box[i]) * _HALF_PATCH) for i in (0, 1))
    patches = np.zeros((len(PARTS), 4), np.int32)
    for patch, part in zip(patches, PARTS, strict=True):
        points = landmarks_68_2[part][confident_68[part]]
        if len(points):
            x, y = np.round(points.mean(axis=0)).astype(int).tolist()
            patch[:] = _cut((x - half_width, y - half_height, x + half_width, y + half_height), size_px)
    return patches


def find_regions(
    landmarks_T68_3: NDArray[np.float32],
    size_px: tuple[int, int],
    *,
    known_absences: Sequence[Absence | None],
    min_score: float = CONFIDENT_SCORE,
) -> FaceRegions:
    """Face box and patches of each frame; where the face is lost, those of the last frame that has one.

    The public code falls back to an empty box, since it never updates the last one; the paper's last seen box is meant
    and used here.

    Args:
        landmarks_T68_3: x, y in pixels of frames of `size_px` (height, width), score.
        size_px: height and width of the frames.
        known_absences: frames that have no usable face (`face_absences`); a face without pixels in the frame is added.
        min_score: minimum score of a confident landmark.
    """
    num_frames = len(landmarks_T68_3)
    boxes, patches = np.zeros((num_frames, 4), np.int32), np.zeros((num_frames, len(PARTS), 4), np.int32)
    source, absences, last = np.full(num_frames, -1, np.int32), list(known_absences), -1
    for frame, landmarks in enumerate(landmarks_T68_3):
        if known_absences[frame] is None:
            xy, confident = landmarks[:, :2].astype(np.float64), landmarks[:, 2] >= min_score
            box = face_box(xy[confident], size_px) if confident.any() else _EMPTY
            found = face_patches(xy, confident, box, size_px)
            if found.any():
                boxes[frame], patches[frame], last = box, found, frame
            else:
                absences[frame] = Absence.NOT_DRAWN
        source[frame] = last
        if last >= 0:
            boxes[frame], patches[frame] = boxes[last], patches[last]
    return FaceRegions(boxes_T4=boxes, patches_T34=patches, source_T=source, absences=tuple(absences))


def face_heights_px(landmarks_T68_3: NDArray[np.float32], *, min_score: float = CONFIDENT_SCORE) -> NDArray[np.float64]:
    """float64 (T,): height of the confident landmarks, brows to chin; NaN in frames with fewer than `MIN_LANDMARKS`."""
    confident = landmarks_T68_3[..., 2] >= min_score
    enough = confident.sum(axis=1) >= MIN_LANDMARKS
    heights = np.full(len(landmarks_T68_3), np.nan)
    for frame in np.flatnonzero(enough):
        heights[frame] = np.ptp(landmarks_T68_3[frame, confident[frame], 1])
    return heights


def face_absences(
    landmarks_T68_3: NDArray[np.float32], *, min_score: float = CONFIDENT_SCORE
) -> tuple[Absence | None, ...]:
    """Reasons against each frame's face: too few landmarks, none of an eye or the mouth, or a height below
    `MIN_FACE_PX`; None for a usable face.
    """
    heights = face_heights_px(landmarks_T68_3, min_score=min_score)
    confident = landmarks_T68_3[..., 2] >= min_score
    seen = ~np.isnan(heights) & np.any([confident[:, part].any(axis=1) for part in PARTS], axis=0)
    return tuple(
        Absence.NOT_SEEN if not seen[frame] else Absence.TOO_SMALL if heights[frame] < MIN_FACE_PX else None
        for frame in range(len(heights))
    )


def _cut(rectangle: Rectangle, size_px: tuple[int, int]) -> Rectangle:
    x0, y0, x1, y1 = rectangle
    cut = max(0, x0), max(0, y0), min(size_px[1], x1), min(size_px[0], y1)
    return cut if cut[0] < cut[2] and cut[1] < cut[3] else _EMPTY
