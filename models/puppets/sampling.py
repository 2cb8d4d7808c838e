"""Sampling of puppet video specs from a seed."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from models.puppets.character.sampling import sample_character
from models.puppets.motion.catalogue import HELDOUT_MOTIONS, TRAIN_MOTIONS
from models.puppets.motion.improvised import PHASES
from models.puppets.scene.held import HELD_KINDS
from models.puppets.scene.nearby import NEARBY_KINDS
from models.puppets.scene.scenery import KINDS
from models.puppets.spec import (
    Body,
    CharacterSpec,
    Colour,
    MotionSpec,
    ObjectSpec,
    PuppetVideoSpec,
    ScenerySpec,
    ShotSpec,
    Split,
)

_OBJECT_COLOURS: tuple[tuple[Colour, Colour], ...] = (
    ((232, 80, 70), (252, 240, 220)),
    ((70, 140, 214), (250, 220, 90)),
    ((250, 190, 60), (220, 90, 70)),
    ((120, 190, 110), (72, 130, 90)),
    ((180, 110, 200), (250, 210, 230)),
    ((196, 140, 90), (110, 160, 90)),
)
_LEAVES: Colour = (84, 156, 86)
HELD_SIZES = {"ball": 0.09, "flower": 0.07, "balloon": 0.1, "umbrella": 0.13, "guitar": 0.1, "book": 0.11}
NEARBY_SIZES = {"box": 0.1, "chair": 0.12, "plant": 0.08, "ball": 0.07, "lamp": 0.09, "barrel": 0.1}
_SPINNING = frozenset({"turn", "ballet", "walk_across"})


def sample_spec(
    seed: int,
    *,
    split: Split = "train",
    body: Body | None = None,
    size_px: tuple[int, int] = (192, 192),
    num_shots: int | None = None,
    duration_seconds: float = 4.0,
    improvised: bool = False,
    still_camera: bool = False,
) -> PuppetVideoSpec:
    """Sample all parameters of one puppet video. Deterministic.

    `size_px`: (height, width). `body` and `num_shots` are sampled if None: half of the characters are human, and one
    video in six has two shots. `improvised`: random poses instead of a motion of the split.
    `still_camera`: no panning, swinging or zooming.

    Raises:
        ValueError: the size is below 32 pixels, the number of shots is not 1 or 2, the split or body is unknown, or the
            duration is not positive.
    """
    height, width = size_px
    if min(height, width) < 32:
        raise ValueError(f"size_px is {size_px}, expected (height, width) of at least 32 pixels each")
    if split not in ("train", "heldout"):
        raise ValueError(f"split is '{split}', expected 'train' or 'heldout'")
    if body not in (None, "human", "anthropomorphic"):
        raise ValueError(f"body is '{body}', expected 'human', 'anthropomorphic' or None")
    if num_shots not in (None, 1, 2):
        raise ValueError(f"num_shots is {num_shots}, expected 1, 2 or None")
    if not duration_seconds > 0.0:
        raise ValueError(f"duration_seconds is {duration_seconds}, expected a positive number")
    rng = random.Random(f"puppet-{split}-{seed}")
    character = sample_character(rng, split, body or ("human" if rng.random() < 0.5 else "anthropomorphic"))
    motion = _motion(rng, split)
    if improvised:
        motion = replace(motion, name="improvise", phase=rng.uniform(0.0, PHASES))
    objects = _objects(rng, character, motion)
    shot_count = num_shots or (2 if rng.random() < 1.0 / 6.0 else 1)
    aspect = height / width
    shots = [_shot(rng, character, motion, start=0.0, aspect=aspect, other_than=frozenset())]
    if shot_count == 2:
        start = round(duration_seconds * rng.uniform(0.4, 0.6), 3)
        other_than = frozenset({shots[0].scenery.kind})
        shots.append(_shot(rng, character, motion, start=start, aspect=aspect, other_than=other_than))
    if still_camera:
        shots = [replace(shot, pan=0.0, sway=0.0, zoom=0.0) for shot in shots]
    return PuppetVideoSpec(
        seed=seed,
        split=split,
        height_px=height,
        width_px=width,
        duration_seconds=duration_seconds,
        character=character,
        motion=motion,
        objects=objects,
        shots=tuple(shots),
    )


def _motion(rng: random.Random, split: Split) -> MotionSpec:
    name = rng.choice(sorted(TRAIN_MOTIONS if split == "train" else HELDOUT_MOTIONS))
    yaw = rng.choice(
        (0.0, 0.0, rng.uniform(-0.5, 0.5), rng.uniform(-1.0, 1.0), rng.choice((-1, 1)) * rng.uniform(1.1, 1.6))
    )
    return MotionSpec(
        name=name,
        speed=rng.uniform(0.45, 0.95),
        phase=rng.random(),
        amplitude=rng.uniform(0.75, 1.05),
        mirrored=rng.random() < 0.5,
        yaw=0.0 if name == "walk_across" else yaw,
        head_yaw=rng.uniform(-0.25, 0.25) if abs(yaw) < 1.0 else -0.3 * yaw * rng.random(),
        smile=rng.uniform(0.3, 1.0),
    )


def _objects(rng: random.Random, character: CharacterSpec, motion: MotionSpec) -> tuple[ObjectSpec, ...]:
    objects: list[ObjectSpec] = []
    if character.proportions.upper_arm > 0.0 and rng.random() < 0.28:
        kind = rng.choice(HELD_KINDS)
        if kind != "guitar" or (not character.look.face_on_body and motion.name not in _SPINNING):
            hand = rng.choice((-1.0, 1.0))
            objects.append(sample_object(rng, kind, HELD_SIZES[kind], kind, held=True, x=hand))
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        kind = rng.choice(NEARBY_KINDS)
        taken = [item.object_id for item in objects]
        name = kind if kind not in taken else f"{kind}-{len(objects) + 1}"
        side = -math.copysign(1.0, objects[-1].x) if objects else rng.choice((-1.0, 1.0))
        depth = rng.uniform(0.2, 0.35) if rng.random() < 0.35 else rng.uniform(-0.5, -0.2)
        x = side * rng.uniform(0.2, 0.4)
        objects.append(sample_object(rng, kind, NEARBY_SIZES[kind], name, held=False, x=x, z=depth))
    return tuple(objects)


def sample_object(
    rng: random.Random, kind: str, size: float, name: str, *, held: bool, x: float, z: float = 0.0
) -> ObjectSpec:
    """Sample the colours of an object, and its size within -12% to 25% of `size`."""
    colour, second = rng.choice(_OBJECT_COLOURS)
    return ObjectSpec(
        object_id=name,
        kind=kind,
        colour=colour,
        second=_LEAVES if kind == "plant" else second,
        size=size * rng.uniform(0.88, 1.25),
        held=held,
        x=x,
        z=z,
    )


def _shot(
    rng: random.Random,
    character: CharacterSpec,
    motion: MotionSpec,
    *,
    start: float,
    aspect: float,
    other_than: frozenset[str],
) -> ShotSpec:
    scenery = ScenerySpec(
        kind=rng.choice(sorted(set(KINDS) - other_than)),
        seed=rng.randrange(1 << 30),
        palette=rng.randrange(4),
        light=rng.choice((-1.0, 1.0)),
        drift=rng.uniform(-0.03, 0.03),
    )
    upper = (
        rng.random() < 0.16
        and character.proportions.head_height < 0.2
        and motion.name not in {"jumping_jack", "squat", "walk_across", "pick_up"}
    )
    scale = min(rng.uniform(0.58, 0.8), rng.uniform(0.86, 0.98) / aspect)
    floor_y = min(0.5 + 0.5 * scale + rng.uniform(0.02, 0.07), 0.95)
    if upper:
        scale = rng.uniform(1.05, 1.35)
        floor_y = scale + rng.uniform(0.14, 0.2)
    moving = rng.random()
    walking = motion.name in {"walk_in_place", "march"} and abs(motion.yaw) > 0.6
    pan = 0.0
    if walking:
        pan = (1.0 if motion.yaw > 0 else -1.0) * rng.uniform(0.15, 0.3)
    return ShotSpec(
        start_seconds=start,
        motion_offset_seconds=rng.uniform(0.0, 3.0) if start else 0.0,
        yaw_offset=rng.uniform(-0.5, 0.5) if start else 0.0,
        scenery=scenery,
        scale=scale,
        centre_x=rng.uniform(0.44, 0.56),
        floor_y=floor_y,
        pitch=rng.uniform(0.04, 0.2),
        pan=pan,
        sway=rng.uniform(0.03, 0.1) if moving < 0.25 else 0.0,
        zoom=rng.uniform(-0.12, 0.15) if 0.25 <= moving < 0.45 else 0.0,
    )
