"""Removal of implausible keypoints, whatever network found them: across two persons, jumping, or of swapped sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.pose.extent import CONFIDENT_SCORE
from models.pose.jumps import find_jumps
from models.pose.limb_lengths import long_limbs, skeleton_unit_px
from models.pose.skeleton import BODY

MAX_LONG_LIMBS = 1
"""More arms and legs that reach to another person make the whole skeleton implausible: it lies across two persons."""
MAX_PASSES = 4
"""Long limbs make the unit of lengths longer; once they are gone, others may prove too long."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlausiblePose:
    """Keypoints without implausible ones.

    `keypoints`: (T, 133, 3), 0 where implausible. `implausible_frames`: bool (T,), frames that lost all keypoints.
    `implausible_share`: their share of the frames with a body keypoint, 0–1.
    """

    keypoints: NDArray[np.float32]
    implausible_frames: NDArray[np.bool_]
    implausible_share: float


def plausible_pose(keypoints: NDArray[np.float32], frame_seconds: NDArray[np.float64]) -> PlausiblePose:
    """Remove implausible keypoints: single ones where a limb is wrong, all of a frame where the trunk is.

    `keypoints`: (T, 133, 3) of one character. `frame_seconds`: (T,), ascending. Lengths are relative to the skeleton,
    so that neither the character's size nor its place matters; puppets of any proportions pass.
    """
    shown = (keypoints[:, BODY, 2] >= CONFIDENT_SCORE).any(axis=1)
    kept, frames = keypoints, np.zeros(len(keypoints), bool)
    for _ in range(MAX_PASSES):
        unit_px = skeleton_unit_px(kept, frame_seconds)
        if not (unit_px > 0).all():  # no frame has enough limbs
            break
        long = long_limbs(kept, unit_px)
        new_frames = long.trunks | (long.num_limbs > MAX_LONG_LIMBS)
        lost = (long.points | new_frames[:, None]) & (kept[..., 2] >= CONFIDENT_SCORE)
        if not lost.any():
            break
        frames |= new_frames
        kept = np.where((long.points | new_frames[:, None])[..., None], np.float32(0), kept)
    if (unit_px > 0).all():
        kept, frames = _without_jumps(kept, frames, frame_seconds, unit_px)
    return PlausiblePose(
        keypoints=kept,
        implausible_frames=frames,
        implausible_share=float((frames & shown).sum() / max(shown.sum(), 1)),
    )


def _without_jumps(
    keypoints: NDArray[np.float32],
    frames: NDArray[np.bool_],
    frame_seconds: NDArray[np.float64],
    unit_px: NDArray[np.float64],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Keypoints without those that jump, and the implausible frames with those in which the whole body does."""
    jumps = find_jumps(keypoints, frame_seconds, unit_px)
    frames = frames | jumps.bodies
    return np.where((jumps.points | frames[:, None])[..., None], np.float32(0), keypoints), frames
