"""Portraits: talking, gesturing characters before a still camera, in scenery that moves by itself."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from models.pose.skeleton import FACE, INDEX
from models.puppets.motion.catalogue import HELDOUT_GESTURES, TRAIN_GESTURES
from models.puppets.render import render_frame, skeleton_at
from models.puppets.sampling import sample_spec
from models.puppets.scene.living import LIVING_KINDS
from models.puppets.spec import Body, CharacterSpec, PuppetVideoSpec, ScenerySpec, SpeechSpec, Split
from models.puppets.truth import OCCLUDED, VISIBLE

_NEXT_SEED = 1_000_000_000
_OTHER_SEED = 500_000_000
_CHECKED_FRAMES = 6
_FACE_HEIGHTS = (0.235, 0.415)
"""Smallest and largest height of the box of the 68 landmarks, relative to the frame's height."""
_GESTURES: Mapping[Split, tuple[str, ...]] = MappingProxyType(
    {"train": (*sorted(TRAIN_GESTURES), "greet"), "heldout": (*sorted(HELDOUT_GESTURES), "greet_with_both")}
)
"""Gestures to choose from; a wave twice as often as the others."""
_LARGEST_YAW = math.radians(35.0)
_BEAKED = frozenset({"chick", "penguin"})
_FIRST_INNER_LANDMARK = 27  # nose, eyes and mouth follow the jaw and the brows
_SHOULDERS = [INDEX["left_shoulder"], INDEX["right_shoulder"]]


@dataclass(frozen=True, kw_only=True, slots=True)
class PortraitPair:
    """Target and driving video of a cross-identity pair of portraits, with the same motion and speech in sync.

    `target`: video of the character to animate, before scenery that moves. Its first frame is the reference image.
    `driving`: video of another, human character in another scenery, whose head is at the same place in the picture.
    """

    target: PuppetVideoSpec
    driving: PuppetVideoSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class _Framing:
    """Head in the picture: half its height relative to the frame's height, and its centre relative to its sizes."""

    radius: float
    x: float
    y: float


def sample_portrait(
    seed: int,
    *,
    split: Split = "train",
    body: Body | None = None,
    size_px: tuple[int, int] = (192, 144),
    duration_seconds: float = 2.0,
) -> PuppetVideoSpec:
    """Sample a single-shot video of a character that talks and gestures, with its head and shoulders in view.

    The camera is static, the face looks at most 35 degrees away from it and is never covered, and the scenery moves by
    itself. Arguments as in `sample_spec`. Deterministic.
    """
    for candidate in _candidates(seed, split, body, size_px, duration_seconds):
        rng = random.Random(f"portrait-{split}-{candidate.seed}")
        # One gesture for all candidates: those that lift a hand to the face fail more often and would be rarer.
        gesture = random.Random(f"gesture-{split}-{seed}").choice(_GESTURES[split])
        motion = replace(
            candidate.motion,
            name=gesture,
            speed=rng.uniform(0.45, 0.75),
            yaw=rng.uniform(-0.28, 0.28),
            head_yaw=rng.uniform(-0.12, 0.12),
            speech=_speech(rng),
        )
        framing = _Framing(radius=rng.uniform(0.182, 0.224), x=rng.uniform(0.47, 0.53), y=rng.uniform(0.37, 0.45))
        shot = replace(candidate.shots[0], scenery=_living(rng), pitch=rng.uniform(0.0, 0.08))
        spec = _framed(replace(candidate, motion=motion, shots=(shot,)), framing)
        if _shows_its_face(spec):
            return spec
    raise AssertionError("unreachable")


def sample_portrait_pair(
    seed: int,
    *,
    split: Split = "heldout",
    body: Body | None = None,
    size_px: tuple[int, int] = (192, 144),
    duration_seconds: float = 2.0,
) -> PortraitPair:
    """Sample a portrait and the video of another character, which drives it. Deterministic.

    `body`: of the target. The driving character's scenery is still in half of the cases. Other arguments as in
    `sample_portrait`.
    """
    target = sample_portrait(seed, split=split, body=body, size_px=size_px, duration_seconds=duration_seconds)
    for other in _candidates(seed + _OTHER_SEED, split, "human", size_px, duration_seconds):
        driving = _elsewhere(
            _with_character(target, other.character), other, random.Random(f"portrait-pair-{split}-{other.seed}")
        )
        elsewhere = driving.shots[0].scenery.kind != target.shots[0].scenery.kind
        if elsewhere and other.character.recipe != target.character.recipe and _shows_its_face(driving):
            return PortraitPair(target=target, driving=driving)
    raise AssertionError("unreachable")


def face_twin(spec: PuppetVideoSpec, seed: int) -> PuppetVideoSpec:
    """Another character of the split in another scenery: same motion, speech and place of the head. Deterministic.

    The face box shows scenery too; that of the portrait would tell how it goes on.
    """
    size_px = spec.height_px, spec.width_px
    for other in _candidates(seed + 2 * _OTHER_SEED, spec.split, None, size_px, spec.duration_seconds):
        rng = random.Random(f"face-twin-{spec.split}-{other.seed}")
        twin = _elsewhere(_with_character(spec, other.character), other, rng)
        elsewhere = twin.shots[0].scenery.kind != spec.shots[0].scenery.kind
        if elsewhere and other.character.recipe != spec.character.recipe and _shows_its_face(twin):
            return twin
    raise AssertionError("unreachable")


def living_scene(
    seed: int, *, split: Split = "train", size_px: tuple[int, int] = (192, 144), duration_seconds: float = 2.0
) -> PuppetVideoSpec:
    """Sample a video of scenery that moves by itself, without a character. Deterministic."""
    spec = sample_spec(
        seed, split=split, size_px=size_px, num_shots=1, duration_seconds=duration_seconds, still_camera=True
    )
    shot = replace(spec.shots[0], scenery=_living(random.Random(f"living-scene-{split}-{seed}")))
    return replace(spec, objects=(), shots=(shot,), character_visible=False)


def _candidates(
    seed: int, split: Split, body: Body | None, size_px: tuple[int, int], duration_seconds: float
) -> Iterator[PuppetVideoSpec]:
    """Yield specs of characters that have a head of their own with a mouth to see."""
    while True:
        spec = sample_spec(
            seed,
            split=split,
            body=body,
            size_px=size_px,
            num_shots=1,
            duration_seconds=duration_seconds,
            still_camera=True,
        )
        if not spec.character.look.face_on_body and spec.character.look.species not in _BEAKED:
            yield replace(spec, objects=())
        seed += _NEXT_SEED


def _living(rng: random.Random) -> ScenerySpec:
    return ScenerySpec(
        kind=rng.choice(LIVING_KINDS),
        seed=rng.randrange(1 << 30),
        palette=rng.randrange(4),
        light=rng.choice((-1.0, 1.0)),
        drift=rng.uniform(-0.03, 0.03),
    )


def _elsewhere(spec: PuppetVideoSpec, other: PuppetVideoSpec, rng: random.Random) -> PuppetVideoSpec:
    """Replace the scenery, by one that moves by itself or by the still one of another video."""
    scenery = _living(rng) if rng.random() < 0.5 else other.shots[0].scenery
    return replace(spec, shots=(replace(spec.shots[0], scenery=scenery),))


def _speech(rng: random.Random) -> SpeechSpec:
    return SpeechSpec(
        seed=rng.randrange(1 << 30),
        syllables_per_second=rng.uniform(2.0, 2.8),
        emotion_seconds=rng.uniform(0.9, 1.6),
        amplitude=rng.uniform(0.85, 1.1),
    )


def _with_character(spec: PuppetVideoSpec, character: CharacterSpec) -> PuppetVideoSpec:
    """Replace the character and keep the place and the height of the head in the picture."""
    (shot,) = spec.shots
    x, y = _head(spec)
    scale = shot.scale * spec.height_px
    framing = _Framing(
        radius=shot.scale * spec.character.proportions.head_height,
        x=shot.centre_x + x * scale / spec.width_px,
        y=shot.floor_y - y * scale / spec.height_px,
    )
    return _framed(replace(spec, character=character), framing)


def _framed(spec: PuppetVideoSpec, framing: _Framing) -> PuppetVideoSpec:
    """Place the head of a single-shot video."""
    x, y = _head(spec)
    scale = framing.radius / spec.character.proportions.head_height
    shot = replace(
        spec.shots[0],
        scale=scale,
        centre_x=framing.x - x * scale * spec.height_px / spec.width_px,
        floor_y=framing.y + y * scale,
    )
    return replace(spec, shots=(shot,))


def _head(spec: PuppetVideoSpec) -> tuple[float, float]:
    """Mean place of the head over the video, in body heights from the floor under the character."""
    places = [skeleton_at(spec, spec.shots[0], seconds).head[:2] for seconds in _moments(spec)]
    x, y = np.mean(places, axis=0)
    return float(x), float(y)


def _moments(spec: PuppetVideoSpec) -> list[float]:
    return [spec.duration_seconds * index / _CHECKED_FRAMES for index in range(_CHECKED_FRAMES)]


def _shows_its_face(spec: PuppetVideoSpec) -> bool:
    """Whether the face is large enough, turned to the camera and uncovered, with the shoulders but not the feet."""
    if spec.shots[0].floor_y < 1.02:
        return False
    for seconds in _moments(spec):
        forwards = skeleton_at(spec, spec.shots[0], seconds).head_axes[:, 2]
        if abs(math.atan2(forwards[0], forwards[2])) > _LARGEST_YAW:
            return False
        keypoints = render_frame(spec, seconds).keypoints
        face = keypoints[FACE]
        height = np.ptp(face[:, 1]) / spec.height_px
        in_view = (face[:, 2] >= OCCLUDED).all() and (keypoints[_SHOULDERS, 2] >= OCCLUDED).all()
        uncovered = (face[_FIRST_INNER_LANDMARK:, 2] == VISIBLE).all()
        if not (in_view and uncovered and _FACE_HEIGHTS[0] <= height <= _FACE_HEIGHTS[1]):
            return False
    return True
