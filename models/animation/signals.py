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

BASE_SIGNALS = frozenset({REFERENCE_POSE, REFERENCE_KEYPOINTS, POSE_KEYPOINTS, DRIVING_FRAMES, DRIVING_KEYPOINTS})
"""Signals that the pipeline provides for every system."""


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
    """
    collected = {}
    for name in needs:
        if name in own:
            collected[name] = np.asarray(own[name].compute(base))
        elif name in base:
            collected[name] = base[name]
        else:
            raise ValueError(f"no signal is named '{name}'; there are {', '.join(sorted({*base, *own}))}")
    return collected
