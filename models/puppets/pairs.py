"""Cross-identity pairs with ground truth: two characters that perform the same motion."""

from __future__ import annotations

from dataclasses import dataclass, replace

from models.puppets.solo import sample_figure
from models.puppets.spec import Body, PuppetVideoSpec, Split

_OTHER_SEED = 500_000_000
"""Offset between the seeds of target and driving character, larger than any corpus."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PuppetPair:
    """Target and driving video of a cross-identity pair.

    `target`: video of the character to animate. Its first frame is the reference image, its frames are the ground truth
    of the animation. `driving`: video of another character in another scenery that performs the target's motion in
    sync.
    """

    target: PuppetVideoSpec
    driving: PuppetVideoSpec


def sample_pair(
    seed: int,
    *,
    split: Split = "heldout",
    body: Body | None = None,
    size_px: tuple[int, int] = (192, 192),
    duration_seconds: float = 2.0,
    same_place: bool = False,
) -> PuppetPair:
    """Sample a pair of single-shot videos of full-body characters, without objects and with a static camera.

    Both characters face the camera in the first frame; the driving one is human. Deterministic.

    `body`: of the target. `size_px`: (height, width). `same_place`: same position and camera for both characters, so
    that their skeletons differ only in proportions.
    """
    target = sample_figure(seed, split=split, body=body, size_px=size_px, duration_seconds=duration_seconds)
    driving = sample_figure(
        seed + _OTHER_SEED, split=split, body="human", size_px=size_px, duration_seconds=duration_seconds
    )
    if same_place:
        shot = replace(target.shots[0], scenery=driving.shots[0].scenery)
    else:
        shot = replace(driving.shots[0], yaw_offset=target.shots[0].yaw_offset)
    return PuppetPair(target=target, driving=replace(driving, motion=target.motion, shots=(shot,)))
