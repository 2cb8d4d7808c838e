"""Quality measures of a clip, from its frames, keypoints and character masks.

T frames, H x W pixels: frames (T, H, W, 3) uint8 RGB, keypoints (T, 133, 3), masks (T, H, W) bool, frame_seconds (T).
All measures are finite for every clip, and 0 if there is nothing to measure.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.masks.boxes import bounding_boxes
from models.pose.absences import find_absences
from models.pose.extent import CONFIDENT_SCORE, character_size_px, shows_person
from models.pose.skeleton import BODY
from models.video.shots import HEIGHT_PX, WIDTH_PX, find_cuts

MIN_PERSON_AREA_SHARE = 0.001
"""Minimum mask area of a person, as a share of the picture."""
INSIDE_MARGIN_SHARE = 0.02
"""Tolerance relative to the character's size by which a keypoint may lie outside the mask, for joints of thin limbs."""
SAME_MOMENT_SECONDS = 1e-6
"""Minimum frame interval for measuring motion; the time bases of videos are coarser."""
SHARPNESS_SIZE_PX = 192
"""Length of the longer side of the character's box after resizing, before sharpness is measured."""
SWITCH_MAX_IOU = 0.1
SWITCH_MIN_DISTANCE = 0.75
SWITCH_MIN_APPEARANCE_DISTANCE = 0.45
"""Measured on 40 puppets and three videos of people: neighbouring frames of one character differ by less than 0.26, or
0.36 if the light brightens by a fifth; at least 80% of pairs of different characters differ by more than 0.45."""


def pose_confidence(keypoints: NDArray[np.float32]) -> float:
    """Mean score of the 17 body keypoints over the clip, 0-1."""
    return float(keypoints[:, BODY, 2].mean())


def person_share(keypoints: NDArray[np.float32], masks: NDArray[np.bool_]) -> float:
    """Share of frames with a person: enough confident body keypoints and a large enough mask."""
    return float(_shows_person(keypoints, masks).mean())


def longest_absence_seconds(
    keypoints: NDArray[np.float32], masks: NDArray[np.bool_], frame_seconds: NDArray[np.float64]
) -> float:
    """Longest time without a person, from a frame without one to the next frame with one or the clip's end."""
    absences = find_absences(_shows_person(keypoints, masks), frame_seconds)
    return max((absence.duration_seconds for absence in absences), default=0.0)


def _shows_person(keypoints: NDArray[np.float32], masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(T,) bool, whether a frame shows a person."""
    shows: NDArray[np.bool_] = shows_person(keypoints) & (masks.mean(axis=(1, 2)) >= MIN_PERSON_AREA_SHARE)
    return shows


def keypoints_inside_mask(keypoints: NDArray[np.float32], masks: NDArray[np.bool_]) -> float:
    """Share of the confident body keypoints within the picture that lie inside the character's mask, 0-1.

    The tolerance is `INSIDE_MARGIN_SHARE` of the character's size, at least one pixel. 0.0 without such keypoints.
    """
    height, width = masks.shape[1:]
    body = keypoints[:, BODY]
    x, y = np.rint(body[..., 0]), np.rint(body[..., 1])
    counted = (body[..., 2] >= CONFIDENT_SCORE) & (x >= 0) & (x < width) & (y >= 0) & (y < height)
    if not counted.any():
        return 0.0
    margin = max(1, round(INSIDE_MARGIN_SHARE * character_size_px(keypoints)))
    around_y, around_x = np.mgrid[-margin : margin + 1, -margin : margin + 1]
    disc = np.hypot(around_y, around_x) <= margin
    # Clipping to the picture moves pixels of the disc towards the keypoint, so they stay within the disc.
    near_y = np.clip(y[counted].astype(int)[:, None] + around_y[disc], 0, height - 1)
    near_x = np.clip(x[counted].astype(int)[:, None] + around_x[disc], 0, width - 1)
    t = np.nonzero(counted)[0][:, None]
    return float(masks[t, near_y, near_x].any(axis=1).mean())


def mask_area_jump(masks: NDArray[np.bool_]) -> float:
    """Largest change of the mask's area between neighbouring frames, relative to the larger area, 0-1.

    1.0 means that the mask appears or disappears between two frames.
    """
    area = masks.sum(axis=(1, 2), dtype=np.float64)
    larger = np.maximum(area[1:], area[:-1])
    jumps = np.abs(np.diff(area)) / np.maximum(larger, 1)
    return float(jumps.max(initial=0.0))


def motion_magnitude(keypoints: NDArray[np.float32], frame_seconds: NDArray[np.float64]) -> float:
    """Mean speed of the body keypoints, in character sizes per second.

    Averages over keypoints that are confident in two neighbouring frames at least `SAME_MOMENT_SECONDS` apart; 0.0 if
    there are none. Measured in the picture, so it includes camera motion.
    """
    size = character_size_px(keypoints)
    if len(keypoints) != len(frame_seconds):
        raise ValueError(f"got {len(frame_seconds)} times for {len(keypoints)} frames of keypoints")
    body = keypoints[:, BODY]
    confident = body[..., 2] >= CONFIDENT_SCORE
    seconds = np.diff(frame_seconds)
    counted = confident[1:] & confident[:-1] & (seconds >= SAME_MOMENT_SECONDS)[:, None]
    if not counted.any() or size == 0:
        return 0.0
    moved_px = np.linalg.norm(np.diff(body[..., :2], axis=0), axis=2)
    speed = moved_px[counted] / np.broadcast_to(seconds[:, None], counted.shape)[counted]
    return float(speed.mean() / size)


def sharpness(frames: NDArray[np.uint8], masks: NDArray[np.bool_]) -> float:
    """Variance of the Laplacian of the character's grey levels (0-255), median over the frames that show it.

    The character's box is resized to `SHARPNESS_SIZE_PX` first, so that blur is measured relative to the character's
    size, independent of the resolution. 0.0 if no frame shows the character.
    """
    variances = []
    for frame, mask, (x0, y0, x1, y1) in zip(frames, masks, bounding_boxes(masks).tolist(), strict=True):
        if x1 == x0:
            continue
        scale = SHARPNESS_SIZE_PX / max(x1 - x0, y1 - y0)
        size = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
        grey = cv2.cvtColor(frame[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY)
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        inside = cv2.resize(mask[y0:y1, x0:x1].astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        variances.append(cv2.Laplacian(grey, cv2.CV_32F)[inside].var() if inside.any() else 0.0)
    return float(np.median(variances)) if variances else 0.0


def shot_cuts(frames: NDArray[np.uint8]) -> int:
    """Number of shot cuts within the clip."""
    return len(find_cuts(cv2.resize(frame, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA) for frame in frames))


def identity_switches(frames: NDArray[np.uint8], masks: NDArray[np.bool_]) -> int:
    """Number of times the mask switches between characters, over consecutive frames with a non-empty mask.

    A switch is a jump in position (mask IoU below `SWITCH_MAX_IOU` and centroids farther apart than
    `SWITCH_MIN_DISTANCE` times the longer side of the character's box) or in appearance (Bhattacharyya distance of the
    colour histograms under the masks above `SWITCH_MIN_APPEARANCE_DISTANCE`).
    """
    shown = np.flatnonzero(masks.any(axis=(1, 2)))
    if len(shown) < 2:
        return 0
    masks = masks[shown]
    boxes = bounding_boxes(masks)
    sizes = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    distances = np.linalg.norm(np.diff(_centroids(masks), axis=0), axis=1) / np.maximum(sizes[1:], sizes[:-1])
    overlap = (masks[1:] & masks[:-1]).sum(axis=(1, 2)) / (masks[1:] | masks[:-1]).sum(axis=(1, 2))
    histograms = np.stack(
        [_colour_histogram(frames[t], mask, box) for t, mask, box in zip(shown, masks, boxes.tolist(), strict=True)]
    )
    likeness = np.sqrt(histograms[1:] * histograms[:-1]).sum(axis=1)
    appearance_distances = np.sqrt(np.maximum(0, 1 - likeness))
    jumps = (overlap < SWITCH_MAX_IOU) & (distances > SWITCH_MIN_DISTANCE)
    return int((jumps | (appearance_distances > SWITCH_MIN_APPEARANCE_DISTANCE)).sum())


def _centroids(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Centroids (T, 2), as x and y, of non-empty masks (T, H, W)."""
    columns, rows = masks.sum(axis=1), masks.sum(axis=2)
    moments = np.stack([columns @ np.arange(columns.shape[1]), rows @ np.arange(rows.shape[1])], axis=1)
    centroids: NDArray[np.float64] = moments / rows.sum(axis=1)[:, None]
    return centroids


def _colour_histogram(
    frame: NDArray[np.uint8], mask: NDArray[np.bool_], box: tuple[int, int, int, int]
) -> NDArray[np.float64]:
    """Joint Lab colour histogram under the mask, (4 * 16 * 16), summing to 1, smoothed over neighbouring bins."""
    x0, y0, x1, y1 = box
    y, x = np.nonzero(mask[y0:y1, x0:x1])
    step = max(1, len(y) // 4096)  # some 4096 pixels are enough for the histogram
    lab = cv2.cvtColor(frame[y0:y1, x0:x1][y[::step], x[::step]][None], cv2.COLOR_RGB2LAB)
    bins = (4, 16, 16)
    counts = cv2.calcHist([lab], [0, 1, 2], None, bins, [0, 256] * 3).reshape(bins)
    for axis in range(3):
        edge = np.pad(counts, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
        first, middle, last = (edge.take(range(i, i + bins[axis]), axis=axis) for i in range(3))
        counts = 0.25 * first + 0.5 * middle + 0.25 * last
    total: NDArray[np.float64] = counts.astype(np.float64).ravel() / counts.sum()
    return total
