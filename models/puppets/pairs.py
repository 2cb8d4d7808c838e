"""Cross-identity pairs with a true answer: one character's motion, and another one doing exactly the same."""

from __future__ import annotations

from dataclasses import dataclass, replace

from models.puppets.solo import sample_figure
from models.puppets.spec import Body, PuppetVideoSpec, Split

_OTHER_SEED = 500_000_000
"""Between the seeds of a target and of what drives it: no corpus is that large."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PuppetPair:
    """Who is animated, and by whom.

    `target`: the character to animate, in its own place; its first frame is the reference picture, and all of its
    frames are what the animation should be. `driving`: another character in another place with the motion of the
    target, moment for moment.
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
    """Draw a pair: one shot each, whole figures that face the camera in their first frame, no objects, a camera that
    stands still; the driving one is human.

    `body` of the target; `size_px`: (height, width). `same_place`: the driving character stands where the target does,
    seen by the same camera, so that their skeletons differ in proportions alone. The same arguments always give the
    same pair.
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
