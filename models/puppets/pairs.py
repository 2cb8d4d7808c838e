"""Cross-identity pairs with ground truth: two characters that perform the same motion, or act in the same scene."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from models.pose.skeleton import INDEX
from models.puppets.interaction import sample_interaction
from models.puppets.render import carried_wrists, render_frame, skeleton_at
from models.puppets.scene.interactions import hands_on_objects
from models.puppets.solo import sample_figure
from models.puppets.spec import Body, Interaction, PuppetVideoSpec, Split
from models.puppets.truth import VISIBLE

_OTHER_SEED = 500_000_000
"""Offset between the seeds of target and driving character, larger than any corpus."""
_REACH_TOLERANCE = 0.03  # body heights, between a wrist and its place at an object


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


@dataclass(frozen=True, kw_only=True, slots=True)
class ScenePair:
    """Driving video, and the same scene with another character.

    `driving`: a character handles or meets objects. `target`: the same video with the other character; scenery, objects
    and their paths are those of `driving`, and the character reaches for the objects. `reference`: the other character
    alone in another scenery; its first frame, which shows the whole of its face, is the reference image.
    """

    driving: PuppetVideoSpec
    target: PuppetVideoSpec
    reference: PuppetVideoSpec


def sample_scene_pair(
    seed: int,
    *,
    split: Split = "heldout",
    size_px: tuple[int, int] = (192, 192),
    duration_seconds: float = 2.0,
    kind: Interaction | None = None,
) -> ScenePair:
    """Sample a video of a human character that interacts with objects, and its ground truth for another character.

    Deterministic. Arguments as in `sample_interaction`.
    """
    driving = sample_interaction(seed, split=split, size_px=size_px, duration_seconds=duration_seconds, kind=kind)
    while True:
        seed += _OTHER_SEED
        reference = sample_figure(seed, split=split, body="human", size_px=size_px, duration_seconds=duration_seconds)
        target = replace(driving, character=reference.character, carrier=driving.character)
        shows_its_face = render_frame(reference, 0.0).keypoints[INDEX["nose"], 2] == VISIBLE
        differs = reference.character.recipe != driving.character.recipe
        elsewhere = reference.shots[0].scenery.kind != driving.shots[0].scenery.kind
        if differs and elsewhere and shows_its_face and _reaches_the_objects(target):
            return ScenePair(driving=driving, target=target, reference=reference)


def _reaches_the_objects(spec: PuppetVideoSpec) -> bool:
    """Whether the arms are long enough for the objects that another character carries."""
    (shot,) = spec.shots
    hands = hands_on_objects(spec)
    for seconds in np.linspace(0.0, spec.duration_seconds, 8):
        arms = skeleton_at(spec, shot, float(seconds)).arms
        places = carried_wrists(spec, shot, float(seconds))
        if arms is None or any(np.linalg.norm(arms[hand].wrist - places[hand]) > _REACH_TOLERANCE for hand in hands):
            return False
    return True
