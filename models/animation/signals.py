"""Signals: arrays about a reference and a driving clip that a system reads besides the reference picture and the poses.

A system lists the signals it needs. Inference takes them from a request and training from a prepared clip, through the
same functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.finite import check_finite

Array = NDArray[Any]

REFERENCE_POSE = "reference_pose"
"""uint8 (H, W, 3): the reference's skeleton, drawn as the poses are."""
REFERENCE_KEYPOINTS = "reference_keypoints"
"""float32 (133, 3): x, y in pixels of the reference, score 0–1."""
POSE_KEYPOINTS = "pose_keypoints"
"""float32 (T, 133, 3): the retargeted keypoints that the poses draw, in pixels of the output."""
DRIVING_FRAMES = "driving_frames"
"""uint8 (T, H', W', 3): the driving frames, of any size."""
DRIVING_KEYPOINTS = "driving_keypoints"
"""float32 (T, 133, 3): keypoints of the driving frames in their pixels, not retargeted."""

REFERENCE_MASK = "reference_mask"
"""bool (H, W): the character's pixels in the reference."""
SCENE_FRAMES = "scene_frames"
"""uint8 (T, H, W, 3): frames of the video whose scene and objects stay, of the output's size."""
AGNOSTIC_MASK = "agnostic_mask"
"""bool (T, H, W): shape-agnostic area around the video's own character; a network sees the scene outside it."""
OBJECT_FRAMES = "object_frames"
"""uint8 (T, H, W, 3): pixels of the objects that stay, black elsewhere."""
OBJECT_MASK = "object_mask"
"""bool (T, H, W): visible pixels of these objects; empty without objects."""
STRUCTURED_DEPTH = "structured_depth"
"""uint8 (T, H, W): depth along the drawn skeleton, 1 (farthest in the clip) to 255 (nearest); 0 off the skeleton."""

FACE_CONTROL = "face_control"
"""uint8 (T, H, W, 6): patches of the driving face where the drawn skeleton has its face, black elsewhere: channels 0–2
both eyes and the mouth, 3–5 the whole face (X-Dyna, arXiv 2501.10021, §3.3). A frame without a face has the last one's
regions, filled from that frame; all black before the first face, and in a clip without any."""
CONTROLS = "controls"
"""bool (2,): whether the body's skeleton and the face's patches control the animation."""

BASE_SIGNALS = frozenset({REFERENCE_POSE, REFERENCE_KEYPOINTS, POSE_KEYPOINTS, DRIVING_FRAMES, DRIVING_KEYPOINTS})
"""Signals that the pipeline provides for every system."""
SCENE_SIGNALS = frozenset({SCENE_FRAMES, AGNOSTIC_MASK, OBJECT_FRAMES, OBJECT_MASK, STRUCTURED_DEPTH})
"""Signals of a model that sets the character into the driving video: its output is a frame of that video."""
PER_CLIP_SIGNALS = frozenset({REFERENCE_POSE, REFERENCE_KEYPOINTS, REFERENCE_MASK, CONTROLS})
"""Signals without a frame axis."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Signal:
    """A per-frame signal that a system computes from `BASE_SIGNALS`.

    Args:
        compute: base signals by name to an array (T, …). Raises ValueError where the clip does not allow it.
        version: raised when `compute` changes its output; part of the digest of the system's models.
        reads_frames: whether `compute` reads `DRIVING_FRAMES`; training then decodes them.
    """

    compute: Callable[[Mapping[str, Array]], Array]
    version: int = 1
    reads_frames: bool = True


def collect_signals(needs: Iterable[str], own: Mapping[str, Signal], base: Mapping[str, Array]) -> dict[str, Array]:
    """The signals in `needs`: those of `own` computed, the others taken from `base`.

    Raises:
        ValueError: a signal that is neither, or one that the clip does not allow.
        NotFiniteError: a computed signal holds NaN or infinity.
    """
    collected = {}
    for name in needs:
        if name in own:
            collected[name] = np.asarray(own[name].compute(base))
            if collected[name].dtype.kind == "f":
                check_finite(collected[name], f"signal '{name}'")
        elif name in base:
            collected[name] = base[name]
        else:
            raise ValueError(f"no signal is named '{name}'; there are {', '.join(sorted({*base, *own}))}")
    return collected
