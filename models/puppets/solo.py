"""Characters as one animates them: whole, alone, and facing the camera to begin with."""

from __future__ import annotations

import math
from dataclasses import replace

from models.puppets.render import pose_at
from models.puppets.sampling import sample_spec
from models.puppets.spec import Body, PuppetVideoSpec, Split

_NEXT_SEED = 1_000_000_000
"""Between the seeds that are tried: no corpus is that large, so that none is drawn twice."""


def sample_figure(
    seed: int,
    *,
    split: Split = "train",
    body: Body | None = None,
    size_px: tuple[int, int] = (192, 192),
    duration_seconds: float = 2.0,
    improvised: bool = False,
) -> PuppetVideoSpec:
    """Draw a puppet video of one shot: a whole figure that faces the camera in the first frame, no objects, a camera
    that stands still. The arguments are those of `sample_spec`; the same ones always give the same spec.
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
