"""Sampling of videos in which a human character handles or meets objects."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from models.puppets.sampling import HELD_SIZES, NEARBY_SIZES, sample_object, sample_spec
from models.puppets.scene.held import HELD_KINDS
from models.puppets.scene.interactions import INTERACTIONS, SEAT_OFFSET, flight_seconds
from models.puppets.scene.nearby import seat_height
from models.puppets.spec import (
    CharacterSpec,
    Interaction,
    InteractionSpec,
    MotionSpec,
    ObjectSpec,
    PuppetVideoSpec,
    Split,
)

_ON_THE_SPOT = ("wave", "clap", "stretch", "talk", "disco", "robot", "swim", "shy", "stand")
_STANDING: Mapping[Split, tuple[str, ...]] = {
    "train": ("walk_in_place", "march", *_ON_THE_SPOT),
    "heldout": ("floss", "kick", "cheer"),
}
_SEATED: Mapping[Split, tuple[str, ...]] = {"train": _ON_THE_SPOT, "heldout": ("floss", "cheer", "pick_up")}
_WALKING: Mapping[Split, tuple[str, ...]] = {
    "train": ("walk_in_place", "walk_in_place", "wave", "clap", "talk", "swim"),
    "heldout": ("kick", "kick", "cheer"),  # the arms of a kick swing as in a walk
}
_WALKS = frozenset({"walked_behind", "walked_in_front"})
_TURNING_SHARE = 0.6
_OBSTACLES: Mapping[str, float] = MappingProxyType({"box": 0.14, "plant": 0.15, "barrel": 0.18, "lamp": 0.13})
_SEATS: Mapping[str, float] = MappingProxyType({"box": 0.125, "chair": 0.115, "barrel": 0.125})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Setting:
    """Choices for one kind of interaction. `room`: width and height of the frame that it needs, in body heights."""

    objects: Callable[[random.Random], tuple[ObjectSpec, ...]]
    motions: Mapping[Split, tuple[str, ...]]
    yaw: float = 0.0  # largest, radians
    room: tuple[float, float] = (1.2, 1.25)


def sample_interaction(
    seed: int,
    *,
    split: Split = "train",
    size_px: tuple[int, int] = (192, 192),
    duration_seconds: float = 2.0,
    improvised: bool = False,
    kind: Interaction | None = None,
) -> PuppetVideoSpec:
    """Sample a single-shot video of a whole human character and the objects that it handles or meets. Deterministic.

    The camera is static. Some videos begin with a turn on the spot, from facing the camera to the yaw of the motion, so
    that they show the character from several sides; a walk begins after its turn, and a seat turns too.

    `kind` is sampled if None; naming the sampled kind changes nothing. Other arguments as in `sample_spec`. Of the
    motion, an interaction keeps what it does not need itself: a walk keeps the arms, a throw the legs.

    Raises:
        ValueError: the kind is unknown, or as in `sample_spec`.
    """
    if kind is not None and kind not in INTERACTIONS:
        raise ValueError(f"kind is '{kind}', expected one of {', '.join(INTERACTIONS)}")
    spec = sample_spec(
        seed,
        split=split,
        body="human",
        size_px=size_px,
        num_shots=1,
        duration_seconds=duration_seconds,
        improvised=improvised,
        still_camera=True,
    )
    rng = random.Random(f"interaction-{split}-{seed}")
    drawn = rng.choice(INTERACTIONS)
    interaction = _interaction(rng, drawn if kind is None else kind, duration_seconds)
    interaction = _with_turn(random.Random(f"turn-{split}-{seed}"), interaction, duration_seconds)
    setting = _SETTINGS[interaction.kind]
    motion = replace(
        spec.motion,
        name=spec.motion.name if improvised else rng.choice(setting.motions[split]),
        yaw=rng.uniform(-setting.yaw, setting.yaw),
        head_yaw=0.5 * spec.motion.head_yaw,
    )
    objects = setting.objects(rng)
    if interaction.kind == "sat_on":
        yaw = rng.choice((-1.0, 1.0)) * rng.uniform(0.3, 0.95)
        motion, objects = replace(motion, yaw=yaw), (_fitted_seat(rng, objects[0], spec.character, yaw),)
    if interaction.kind in _WALKS:
        motion = replace(motion, speed=_steps_per_second(spec, motion, interaction))
    room_width, room_height = setting.room
    scale = min(rng.uniform(0.58, 0.72), size_px[1] / size_px[0] / room_width, 0.9 / room_height)
    shot = replace(
        spec.shots[0],
        scale=scale,
        floor_y=min(0.5 + 0.5 * scale + rng.uniform(0.02, 0.07), 0.92),
        centre_x=rng.uniform(0.47, 0.53),
        pitch=rng.uniform(0.06, 0.18),
        pan=0.0,
    )
    return replace(spec, motion=motion, objects=objects, shots=(shot,), interaction=interaction)


def _interaction(rng: random.Random, kind: Interaction, duration_seconds: float) -> InteractionSpec:
    spec = InteractionSpec(kind=kind, period_seconds=1.0, phase=0.0, reach=0.0)
    if kind == "thrown":
        spec = replace(spec, reach=rng.uniform(0.22, 0.42), phase=rng.random())
        return replace(spec, period_seconds=flight_seconds(spec) + rng.uniform(0.4, 0.7))
    if kind in {"passed", "passed_around"}:
        return replace(spec, period_seconds=rng.uniform(1.6, 2.4), phase=rng.random())
    if kind in _WALKS:
        reach = rng.uniform(0.32, 0.4)
        crossing_seconds = min(max(duration_seconds, 1.5) * rng.uniform(0.9, 1.1), rng.uniform(2.2, 3.0))
        return replace(spec, reach=reach, period_seconds=crossing_seconds, phase=rng.uniform(0.0, 0.15))
    return spec


def _with_turn(rng: random.Random, spec: InteractionSpec, duration_seconds: float) -> InteractionSpec:
    """Interaction that begins with a turn, or in the rest of the cases as it is."""
    if rng.random() >= _TURNING_SHARE:
        return spec
    turn_seconds = min(rng.uniform(0.8, 1.4), 0.5 * duration_seconds)
    spec = replace(spec, turn_seconds=turn_seconds, turn_from=rng.uniform(-0.3, 0.3))
    if spec.kind not in _WALKS:
        return spec
    # The walk crosses the picture in the rest of the clip; at this phase its own turn at the picture's side is over.
    crossing_seconds = min(max(duration_seconds - turn_seconds, 1.0), spec.period_seconds)
    return replace(spec, period_seconds=crossing_seconds, phase=rng.uniform(0.12, 0.2))


def _steps_per_second(spec: PuppetVideoSpec, motion: MotionSpec, interaction: InteractionSpec) -> float:
    """Cycles per second of `walk_in_place` at which the feet hardly slide."""
    p = spec.character.proportions
    cycle_length = 4.0 * 0.34 * motion.amplitude * (p.thigh + p.shin)
    return 2.0 * interaction.reach / interaction.period_seconds / cycle_length


def _fitted_seat(rng: random.Random, seat: ObjectSpec, character: CharacterSpec, yaw: float) -> ObjectSpec:
    """Seat about as high as the character's knees, turned by `yaw`."""
    p = character.proportions
    knees = p.shin + 0.28 * p.foot
    return replace(seat, yaw=yaw, stretch=rng.uniform(0.85, 1.05) * knees / seat_height(seat))


def _held(rng: random.Random) -> tuple[ObjectSpec, ...]:
    kind = rng.choice(HELD_KINDS)
    item = sample_object(rng, kind, HELD_SIZES[kind], kind, held=True, x=rng.choice((-1.0, 1.0)))
    return (item, *_beside(rng, item))


def _thrown(rng: random.Random) -> tuple[ObjectSpec, ...]:
    item = sample_object(rng, "ball", 0.075, "ball", held=True, x=rng.choice((-1.0, 1.0)))
    return (item, *_beside(rng, item))


def _passed(rng: random.Random) -> tuple[ObjectSpec, ...]:
    kind, size = rng.choice((("ball", 0.075), ("box", 0.055)))
    item = sample_object(rng, kind, size, kind, held=True, x=1.0)
    return (item, *_beside(rng, item))


def _beside(rng: random.Random, item: ObjectSpec) -> tuple[ObjectSpec, ...]:
    """No or one object on the floor behind the character, to its side."""
    if rng.random() < 0.6:
        return ()
    kind = rng.choice([kind for kind in sorted(NEARBY_SIZES) if kind != item.kind])
    x = rng.choice((-1.0, 1.0)) * rng.uniform(0.22, 0.36)
    return (sample_object(rng, kind, NEARBY_SIZES[kind], kind, held=False, x=x, z=rng.uniform(-0.45, -0.25)),)


def _sat_on(rng: random.Random) -> tuple[ObjectSpec, ...]:
    kind = rng.choice(sorted(_SEATS))
    x = rng.uniform(-0.08, 0.08)
    return (sample_object(rng, kind, _SEATS[kind], kind, held=False, x=x, z=-SEAT_OFFSET),)


def _walked_behind(rng: random.Random) -> tuple[ObjectSpec, ...]:
    return _met(rng, in_front=True)


def _walked_in_front(rng: random.Random) -> tuple[ObjectSpec, ...]:
    return _met(rng, in_front=False)


def _met(rng: random.Random, *, in_front: bool) -> tuple[ObjectSpec, ...]:
    """One large object on one side of the character's way, and in half of the cases a second one on the other side."""
    kinds = rng.sample(sorted(_OBSTACLES), 2 if rng.random() < 0.5 else 1)
    side = rng.choice((-1.0, 1.0)) if len(kinds) == 2 else 0.0
    objects = []
    for index, kind in enumerate(kinds):
        x = (side if index == 0 else -side) * rng.uniform(0.18, 0.26) + rng.uniform(-0.06, 0.06)
        z = rng.uniform(0.3, 0.42) if in_front == (index == 0) else rng.uniform(-0.45, -0.28)
        objects.append(sample_object(rng, kind, _OBSTACLES[kind], kind, held=False, x=x, z=z))
    return tuple(objects)


_SETTINGS: Mapping[Interaction, _Setting] = MappingProxyType(
    {
        "held": _Setting(objects=_held, motions=_STANDING, yaw=0.7, room=(1.2, 1.5)),
        "thrown": _Setting(objects=_thrown, motions=_STANDING, yaw=0.5),
        "passed": _Setting(objects=_passed, motions=_STANDING, yaw=0.5),
        "passed_around": _Setting(objects=_passed, motions=_STANDING, yaw=0.4),
        "sat_on": _Setting(objects=_sat_on, motions=_SEATED),
        "walked_behind": _Setting(objects=_walked_behind, motions=_WALKING, room=(1.4, 1.25)),
        "walked_in_front": _Setting(objects=_walked_in_front, motions=_WALKING, room=(1.4, 1.25)),
    }
)
