"""Prompts for the objects of a puppet video, from its ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from models.puppets.render import PuppetFrame
from models.puppets.spec import PuppetVideoSpec

_MIN_AREA_SHARE = 0.8  # of the largest visible area of an object in its shot
_SMALLEST_OBJECT_PX = 24


def object_prompts(
    spec: PuppetVideoSpec, frames: Sequence[PuppetFrame], times: Sequence[float]
) -> list[dict[str, Any]]:
    """One prompt `{object_id, seconds, box}` per object and shot in which at least 24 pixels of it are visible."""
    prompts = []
    for start, end in pairwise((*spec.shot_starts_seconds, float("inf"))):
        shot = [index for index, time in enumerate(times) if start <= time < end]
        for item in spec.objects:
            areas = [int(frames[index].object_masks[item.object_id].sum()) for index in shot]
            if max(areas, default=0) < _SMALLEST_OBJECT_PX:
                continue
            first = next(i for i, area in zip(shot, areas, strict=True) if area >= _MIN_AREA_SHARE * max(areas))
            rows, columns = np.nonzero(frames[first].object_masks[item.object_id])
            box = [float(columns.min()), float(rows.min()), float(columns.max()), float(rows.max())]
            prompts.append({"object_id": item.object_id, "seconds": times[first], "box": box})
    return prompts
