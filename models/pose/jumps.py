"""Keypoints that jump there and back, and sides of the body that swap for a moment.

Speed alone says little: at 8 frames/s, a hand may be anywhere in the next frame. A return within less than the period
of the fastest movements of people is an error of detection.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.pose.extent import CONFIDENT_SCORE
from models.pose.skeleton import FEET, INDEX, LEFT_HAND, RIGHT_HAND

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

MAX_RETURN_SECONDS = 0.12
"""Of a joint: a wave of the hand has a period of at least 0.2 s."""
MIN_JUMP = 1.0
"""In units of the skeleton (`models.pose.limb_lengths`), about a forearm, relative to the trunk."""
MAX_TRUNK_RETURN_SECONDS, MIN_TRUNK_JUMP = 0.2, 2.0
"""Of the whole body: a fall of `MIN_TRUNK_JUMP`, half a metre, and the bounce take 0.6 s."""
MAX_RETURN_ERROR = 0.3
"""Distance between the places before and after the jump, relative to the jump."""
MAX_SWAP_SECONDS = 0.3
"""A body cannot turn around and back in this time."""
MIN_SWAPPED_WIDTH = 0.4
"""Width of shoulders or hips, in units; narrower ones are seen from the side, and their order says nothing."""
MAX_SWAP_COST = 0.5
"""Distance to the frames around with left and right exchanged, relative to the distance as they are."""

_JOINTS = np.arange(17)
_TRUNK = [INDEX[f"{side}_{joint}"] for joint in ("shoulder", "hip") for side in ("left", "right")]
_WITH_WRIST = {INDEX["left_wrist"]: LEFT_HAND, INDEX["right_wrist"]: RIGHT_HAND}
_WITH_ANKLE = {
    INDEX["left_ankle"]: slice(FEET.start, FEET.start + 3),
    INDEX["right_ankle"]: slice(FEET.start + 3, FEET.stop),
}
_HALVES = tuple(
    np.array([[INDEX[f"{side}_{joint}"] for side in ("left", "right")] for joint in joints])
    for joints in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
)
"""Pairs of left and right joints, those of the trunk first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Jumps:
    """`points`: bool (T, 133), points that jump or are swapped. `bodies`: bool (T,), the whole body does."""

    points: Bools
    bodies: Bools


def find_jumps(keypoints: NDArray[np.float32], frame_seconds: Floats, unit_px: Floats) -> Jumps:
    """Jumps there and back and swaps of sides in keypoints (T, 133, 3) whose unit is `unit_px` (T,)."""
    confident = keypoints[:, _JOINTS, 2:] >= CONFIDENT_SCORE
    places_px = np.where(confident, keypoints[:, _JOINTS, :2].astype(np.float64), np.nan)
    trunk_px = places_px[:, _TRUNK].mean(axis=1)
    bodies = _there_and_back(trunk_px[:, None], frame_seconds, MIN_TRUNK_JUMP * unit_px, MAX_TRUNK_RETURN_SECONDS)[:, 0]
    relative_px = places_px - trunk_px[:, None]
    points = np.zeros(keypoints.shape[:2], bool)
    points[:, _JOINTS] = _there_and_back(relative_px, frame_seconds, MIN_JUMP * unit_px, MAX_RETURN_SECONDS)
    relative = relative_px / unit_px[:, None, None]
    swaps = np.stack([_swapped(relative[:, half], frame_seconds) for half in _HALVES])
    for swap, half in zip(swaps, _HALVES, strict=True):
        points[:, half.ravel()] |= swap[:, None]
    for joint, part in (_WITH_WRIST | _WITH_ANKLE).items():
        points[:, part] |= points[:, joint, None]
    return Jumps(points=points, bodies=bodies | swaps.all(axis=0))


def _runs(frame_seconds: Floats, max_seconds: float) -> Iterator[tuple[slice, slice, list[slice]]]:
    """All runs of each length of which some fit between two frames at most `max_seconds` apart: slices of the frames
    before the runs, of those after, and of their first, second, … frames.
    """
    num_frames = len(frame_seconds)
    for length in range(1, num_frames - 1):
        starts = num_frames - length - 1
        if not (frame_seconds[length + 1 :] - frame_seconds[:starts] <= max_seconds).any():
            return
        inside = [slice(1 + i, 1 + i + starts) for i in range(length)]
        yield slice(0, starts), slice(length + 1, num_frames), inside


def _there_and_back(places: Floats, frame_seconds: Floats, min_jump: Floats, max_seconds: float) -> Bools:
    """Places (T, N, 2), NaN if unknown, and shortest jumps (T,) in the same unit -> bool (T, N)."""
    jumps = np.zeros(places.shape[:2], bool)
    for before, after, inside in _runs(frame_seconds, max_seconds):
        brief = (frame_seconds[after] - frame_seconds[before] <= max_seconds)[:, None]
        distances = [
            np.minimum(_distance(places[frame], places[before]), _distance(places[frame], places[after]))
            for frame in inside
        ]
        nearest = np.min(distances, axis=0)
        returns = _distance(places[before], places[after]) <= MAX_RETURN_ERROR * nearest
        # A torn frame has a unit of its own, which says nothing.
        far = nearest > np.maximum(min_jump[before], min_jump[after])[:, None]
        found = brief & returns & far
        for frame in inside:
            jumps[frame] |= found
    return jumps


def _swapped(pairs: Floats, frame_seconds: Floats) -> Bools:
    """Places (T, pairs, left and right, 2) in units -> bool (T,)."""
    swapped = np.zeros(len(pairs), bool)
    across = pairs[:, 0, 0] - pairs[:, 0, 1]
    is_wide = np.linalg.norm(across, axis=1) >= MIN_SWAPPED_WIDTH
    for before, after, inside in _runs(frame_seconds, MAX_SWAP_SECONDS):
        found = (frame_seconds[after] - frame_seconds[before] <= MAX_SWAP_SECONDS) & is_wide[before] & is_wide[after]
        found &= (across[before] * across[after]).sum(axis=1) > 0
        for frame in inside:
            found &= is_wide[frame]
            for around in (before, after):
                found &= (across[frame] * across[around]).sum(axis=1) < 0
                found &= _cost(pairs[frame, :, ::-1], pairs[around]) < MAX_SWAP_COST * _cost(
                    pairs[frame], pairs[around]
                )
        for frame in inside:
            swapped[frame] |= found
    return swapped


def _cost(pairs: Floats, others: Floats) -> Floats:
    """Mean distance (T,) of the places known in both; NaN without one."""
    distances = _distance(pairs, others)
    known = np.isfinite(distances)
    num_known = known.sum(axis=(1, 2))
    total = np.where(known, distances, 0.0).sum(axis=(1, 2))
    cost: Floats = np.where(num_known > 0, total / num_known.clip(1), np.nan)
    return cost


def _distance(places: Floats, others: Floats) -> Floats:
    distance: Floats = np.linalg.norm(places - others, axis=-1)
    return distance
