"""Sampling of single full-body characters that initially face the camera, suited as animation references."""

from __future__ import annotations

import math
from dataclasses import replace

from models.puppets.render import pose_at
from models.puppets.sampling import sample_spec
from models.puppets.spec import Body, PuppetVideoSpec, Split

_NEXT_SEED = 1_000_000_000
"""Offset between successive seeds of the rejection sampling, larger than any corpus, so that no spec repeats."""


def sample_figure(
    seed: int,
    *,
    split: Split = "train",
    body: Body | None = None,
    size_px: tuple[int, int] = (192, 192),
    duration_seconds: float = 2.0,
    improvised: bool = False,
) -> PuppetVideoSpec:
    """Sample a single-shot puppet video of a full-body character, without objects and with a static camera.

    The character faces the camera in the first frame. Arguments as in `sample_spec`. Deterministic.
    """
    while True:
        spec = sample_spec(
            seed,
            split=split,
            body=body,
            size_px=size_px,
            num_shots=1,
            duration_seconds=duration_seconds,
            improvised=improvised,
            still_camera=True,
        )
        if spec.shots[0].scale <= 1.0 and _shows_its_face(spec):
            return replace(spec, objects=())
        seed += _NEXT_SEED


def _shows_its_face(spec: PuppetVideoSpec) -> bool:
    yaw = spec.motion.yaw + spec.shots[0].yaw_offset + pose_at(spec, spec.shots[0], 0.0).yaw
    return math.cos(yaw) > 0.5
