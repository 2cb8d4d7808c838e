"""Face control pictures of X-Dyna: patches of a driving face where the drawn character has its face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face.regions import FaceRegions, Rectangle, face_absences, face_heights_px, find_regions
from models.pose.extent import CONFIDENT_SCORE
from models.pose.skeleton import FACE, NUM_FACE_LANDMARKS

FaceForm = Literal["patches", "landmarks"]
"""`patches`: pixels of the driving face. `landmarks`: white dots in their place, for the paper's ablation."""
FACE_FORMS: tuple[FaceForm, ...] = get_args(FaceForm)
CHANNELS = 6

_EYES_AND_MOUTH = range(36, 68)
_LONG_SIDE_PX_PER_RADIUS = 256
# cv2 takes 32-bit integers.
_MAX_COORDINATE_PX = 16_000.0


@dataclass(frozen=True, kw_only=True, slots=True)
class FaceControl:
    """Face control of a clip.

    `pictures_THWC6`: uint8 (T, H, W, 6): channels 0-2 both eyes and the mouth, 3-5 the whole face, black elsewhere.
    `regions`: where they are, and frames without a face of their own.
    `heights_px_T`: float64, height of the face in the driving frames; NaN where too few landmarks were detected.
    """

    pictures_THWC6: NDArray[np.uint8]
    regions: FaceRegions
    heights_px_T: NDArray[np.float64]

    @property
    def seen_T(self) -> NDArray[np.bool_]:  # noqa: N802 (named by its shape)
        """Bool (T,): whether the frame has a face of its own."""
        return self.regions.seen_T


def face_control(
    frames_THWC: NDArray[np.uint8],
    keypoints_TK3: NDArray[np.float32],
    pose_keypoints_TK3: NDArray[np.float32],
    *,
    size_px: tuple[int, int],
    form: FaceForm = "patches",
    min_score: float = CONFIDENT_SCORE,
) -> FaceControl:
    """Move the driving face of each frame to the face of the drawn skeleton, and cut out box and patches there.

    The motion is the similarity transform between the landmarks of both. A frame without a usable face has the regions
    and the transform of the last one with a face, applied to its own pixels; it is black before the first one. With
    equal keypoints and sizes, the pictures are those of the public code.

    Args:
        frames_THWC: uint8 RGB, driving frames of any size.
        keypoints_TK3: (T, 133, 3) driving keypoints in their pixels.
        pose_keypoints_TK3: (T, 133, 3) the skeleton that is drawn, in pixels of the output.
        size_px: height and width of the output.
        form: `FaceForm`.
        min_score: minimum score of a confident landmark.

    Raises:
        ValueError: the numbers of frames differ.
    """
    if not len(frames_THWC) == len(keypoints_TK3) == len(pose_keypoints_TK3):
        counts = f"{len(frames_THWC)} frames, {len(keypoints_TK3)} and {len(pose_keypoints_TK3)} skeletons"
        raise ValueError(f"expected as many frames as skeletons, got {counts}")
    driving, target = keypoints_TK3[:, FACE], pose_keypoints_TK3[:, FACE].copy()
    target[..., 2] = np.minimum(driving[..., 2], target[..., 2])
    absences = face_absences(driving, min_score=min_score)
    regions = find_regions(target, size_px, known_absences=absences, min_score=min_score)
    pictures = np.zeros((len(frames_THWC), *size_px, CHANNELS), np.uint8)
    for frame, source in enumerate(regions.source_T.tolist()):
        if source < 0:
            continue
        confident = target[source, :, 2] >= min_score
        if form == "landmarks":
            _draw_landmarks(pictures[frame], target[source], confident)
            continue
        moved = similarity(driving[source, confident, :2], target[source, confident, :2])
        _paste_face(pictures[frame], frames_THWC[frame], moved, regions.boxes_T4[frame], regions.patches_T34[frame])
    return FaceControl(
        pictures_THWC6=pictures, regions=regions, heights_px_T=face_heights_px(driving, min_score=min_score)
    )


def similarity(points_N2: NDArray[np.floating], target_N2: NDArray[np.floating]) -> NDArray[np.float64]:
    """Least-squares similarity transform (rotation, scale, shift; no shear, no reflection), as a matrix (2, 3)."""
    z, w = (p.astype(np.float64) @ np.array([1, 1j]) for p in (points_N2, target_N2))
    centred = z - z.mean()
    spread = (centred.conj() * centred).real.sum()
    turn = (centred.conj() * (w - w.mean())).sum() / spread if spread > 0 else 1.0 + 0.0j
    shift = w.mean() - turn * z.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def _paste_face(
    picture_HWC6: NDArray[np.uint8],
    frame_HWC: NDArray[np.uint8],
    matrix: NDArray[np.float64],
    box: NDArray[np.int32],
    patches: NDArray[np.int32],
) -> None:
    rectangles = np.stack([box, *(patch for patch in patches if patch.any())])
    x0, y0 = rectangles[:, :2].min(axis=0).tolist()
    x1, y1 = rectangles[:, 2:].max(axis=0).tolist()
    moved = _warped(frame_HWC, matrix, (x0, y0, x1, y1))
    for rectangle, channels in ((box, slice(3, 6)), *((patch, slice(0, 3)) for patch in patches)):
        left, top, right, bottom = rectangle.tolist()
        part = moved[top - y0 : bottom - y0, left - x0 : right - x0]
        picture_HWC6[top:bottom, left:right, channels] = part


def _warped(frame_HWC: NDArray[np.uint8], matrix: NDArray[np.float64], area: Rectangle) -> NDArray[np.uint8]:
    """The area's pixels of the moved frame; black where the frame has none."""
    x0, y0, x1, y1 = area
    shifted = matrix.copy()
    shifted[:, 2] -= (x0, y0)
    frame, shifted = _shrunk(frame_HWC, shifted)
    warped: NDArray[np.uint8] = np.asarray(cv2.warpAffine(frame, shifted, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR))
    return warped


def _shrunk(frame_HWC: NDArray[np.uint8], matrix: NDArray[np.float64]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The frame reduced to the scale of the matrix, so that bilinear sampling does not alias, and its own matrix."""
    scale = float(np.hypot(*matrix[:, 0]))
    if scale > 0.7:
        return frame_HWC, matrix
    height, width = (max(1, round(side * scale)) for side in frame_HWC.shape[:2])
    small: NDArray[np.uint8] = np.asarray(cv2.resize(frame_HWC, (width, height), interpolation=cv2.INTER_AREA))
    # Pixel centres are integers: x of the frame is (x_small + 0.5) * ratio - 0.5.
    ratios = np.array([frame_HWC.shape[1] / width, frame_HWC.shape[0] / height])
    linear = matrix[:, :2] * ratios
    shift = matrix[:, 2] + matrix[:, :2] @ (ratios / 2 - 0.5)
    return small, np.column_stack([linear, shift])


def _draw_landmarks(
    picture_HWC6: NDArray[np.uint8], landmarks_68_3: NDArray[np.float32], confident: NDArray[np.bool_]
) -> None:
    radius_px = max(1, round(max(picture_HWC6.shape[:2]) / _LONG_SIDE_PX_PER_RADIUS))
    for first, indices in ((0, _EYES_AND_MOUTH), (3, range(NUM_FACE_LANDMARKS))):
        dots = np.zeros(picture_HWC6.shape[:2], np.uint8)
        points = landmarks_68_3[[i for i in indices if confident[i]], :2].clip(-_MAX_COORDINATE_PX, _MAX_COORDINATE_PX)
        for x, y in points.round().astype(int).tolist():
            cv2.circle(dots, (x, y), radius_px, 255, cv2.FILLED)
        picture_HWC6[..., first : first + 3] = dots[..., None]
