from __future__ import annotations

import numpy as np

from models.perception.prompts import ObjectPrompt
from models.perception.sam2.objects import TrackedObjects, merged

NONE = np.zeros((0, 2), np.float32)


def test_prompts_of_one_frame_are_merged() -> None:
    first = ObjectPrompt(frame=4, box=(0, 0, 5, 5), positive=np.ones((1, 2), np.float32), negative=NONE)
    later = ObjectPrompt(frame=4, box=None, positive=2 * np.ones((2, 2), np.float32), negative=np.zeros((1, 2)))
    other = ObjectPrompt(frame=1, box=(1, 1, 2, 2), positive=NONE, negative=NONE)
    prompts = merged([first, later, other])
    assert [prompt.frame for prompt in prompts] == [1, 4]
    assert prompts[1].box == (0, 0, 5, 5)
    assert prompts[1].positive.tolist() == [[1, 1], [2, 2], [2, 2]]
    assert len(prompts[1].negative) == 1


def test_objects_are_tracked_in_one_pass() -> None:
    prompted_frames = []

    class Tracker:
        def track(self, frames_THWC, objects):
            prompted_frames.append([[prompt.frame for prompt in prompts] for prompts in objects])
            return np.zeros((len(objects), *frames_THWC.shape[:3]), bool)

    frames = np.zeros((5, 4, 6, 3), np.uint8)
    a, b = (ObjectPrompt(frame=t, box=(0, 0, 2, 2), positive=NONE, negative=NONE) for t in (3, 1))
    objects = TrackedObjects(Tracker())
    assert objects.track_all(frames, [[a, b], [b]]).shape == (2, 5, 4, 6)
    assert prompted_frames == [[[1, 3], [1]]]
