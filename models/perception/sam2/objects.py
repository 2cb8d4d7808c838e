"""Masks of prompted objects from a video tracker."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.perception.prompts import ObjectPrompt
from models.perception.sam2.tracker import VideoTracker


class TrackedObjects:
    """Object masks from a video tracker and the manifest's prompts."""

    def __init__(self, tracker: VideoTracker) -> None:
        self.tracker = tracker

    def track_all(self, frames_THWC: NDArray[np.uint8], objects: Sequence[Sequence[ObjectPrompt]]) -> NDArray[np.bool_]:
        """Masks (N, T, H, W) bool of several objects, at little more than the cost of one."""
        return self.tracker.track(frames_THWC, [merged(prompts) for prompts in objects])


def merged(prompts: Sequence[ObjectPrompt]) -> list[ObjectPrompt]:
    """Merge prompts to at most one per frame, in frame order: points are concatenated, and the last box is used."""
    by_frame: dict[int, ObjectPrompt] = {}
    for prompt in prompts:
        earlier = by_frame.get(prompt.frame)
        if earlier is not None:
            prompt = ObjectPrompt(  # noqa: PLW2901 (replaces the prompt)
                frame=prompt.frame,
                box=earlier.box if prompt.box is None else prompt.box,
                positive=np.concatenate([earlier.positive, prompt.positive]),
                negative=np.concatenate([earlier.negative, prompt.negative]),
            )
        by_frame[prompt.frame] = prompt
    return [by_frame[frame] for frame in sorted(by_frame)]
