from __future__ import annotations

import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.perception import distant_prompts
from models.perception.distant_prompts import prompt_of_mask, track_from_before
from models.perception.prompts import ObjectPrompt

HEIGHT, WIDTH, SIDE = 24, 64, 5
LEAD = 8
NONE = np.zeros((0, 2), np.float32)
Path = Sequence[int | None]
"""x of an object in each frame, None where it is out of view."""


@pytest.fixture(autouse=True)
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distant_prompts, "LEAD_FRAMES", LEAD)


class Video:
    """Squares of one colour each that move to and fro, and a tracker that follows a colour in steps of 2 px."""

    def __init__(self, *paths: Path, clip: int) -> None:
        self.frames = np.zeros((len(paths[0]), HEIGHT, WIDTH, 3), np.uint8)
        for number, path in enumerate(paths):
            for t, x in enumerate(path):
                if x is not None:
                    self.frames[t, 8 * number : 8 * number + SIDE, x : x + SIDE, number] = 255
        self.clip = clip
        self.reads: list[tuple[int, int]] = []
        self.longest = 0

    def before(self, first: int, count: int) -> np.ndarray:
        self.reads.append((first, count))
        start = self.clip + first
        assert start >= 0
        assert start + count <= len(self.frames)
        return self.frames[start : start + count]

    def track(self, frames_THWC: np.ndarray, objects: Sequence[Sequence[ObjectPrompt]]) -> np.ndarray:
        self.longest = max(self.longest, len(frames_THWC))
        masks = np.zeros((len(objects), *frames_THWC.shape[:3]), bool)
        for mask, (prompt,) in zip(masks, objects, strict=True):
            x, y = (round(value) for value in prompt.box[:2])
            channel = int(frames_THWC[prompt.frame, y, x].argmax())
            last = x
            for t in range(prompt.frame, len(frames_THWC)):
                shown = frames_THWC[t, ..., channel] > 0
                if shown.any() and abs(int(np.flatnonzero(shown.any(0))[0]) - last) <= 2:
                    mask[t], last = shown, int(np.flatnonzero(shown.any(0))[0])
        return masks

    def prompt(self, number: int, path: Path, t: int) -> list[ObjectPrompt]:
        x, y = path[t], 8 * number
        assert x is not None
        box = (float(x), float(y), float(x + SIDE), float(y + SIDE))
        return [ObjectPrompt(frame=t - self.clip, box=box, positive=NONE, negative=NONE)]

    def truth(self, number: int) -> np.ndarray:
        return self.frames[self.clip :, ..., number] > 0


def to_and_fro(num_frames: int, start: int = 0) -> list[int]:
    span = WIDTH - SIDE
    return [abs((start + t + span) % (2 * span) - span) for t in range(num_frames)]


@given(
    clip=st.integers(1, 60),
    length=st.integers(1, 12),
    prompted=st.lists(st.integers(0, 59), min_size=1, max_size=3),
)
@settings(max_examples=60, deadline=None)
def test_objects_reach_the_clip_from_any_distance(clip: int, length: int, prompted: list[int]) -> None:
    paths = [to_and_fro(clip + length, 20 * number) for number in range(len(prompted))]
    video = Video(*paths, clip=clip)
    objects = [video.prompt(number, paths[number], t % clip) for number, t in enumerate(prompted)]
    masks = track_from_before(video.track, video.frames[clip:], objects, video.before)
    for number, mask in enumerate(masks):
        np.testing.assert_array_equal(mask, video.truth(number))
    assert video.longest <= LEAD + length
    assert max(count for _, count in video.reads) <= LEAD
    # Pieces overlap by the frame that prompts the next one, so the frames read are few more than those passed.
    passed = max(-each[0].frame for each in objects)
    assert sum(count for _, count in video.reads) <= passed * LEAD / (LEAD - 1) + LEAD


def test_an_object_that_is_hidden_for_less_than_a_piece_is_found_again() -> None:
    path: list[int | None] = [20] * 40
    path[14:20] = [None] * 6
    path[28:33] = [None] * 5
    video = Video(path, clip=30)
    masks = track_from_before(video.track, video.frames[30:], [video.prompt(0, path, 0)], video.before)
    assert masks[0].any((1, 2)).tolist() == [False] * 3 + [True] * 7


def test_an_object_that_is_lost_on_the_way_has_empty_masks_and_others_none_less() -> None:
    gone: list[int | None] = [20, 20, *[None] * 28, *[20] * 10]
    stays = to_and_fro(40)
    video = Video(gone, stays, clip=30)
    objects = [video.prompt(0, gone, 0), video.prompt(1, stays, 4)]
    lost, kept = track_from_before(video.track, video.frames[30:], objects, video.before)
    assert not lost.any()
    np.testing.assert_array_equal(kept, video.truth(1))
    alone = track_from_before(video.track, video.frames[30:], objects[:1], video.before)
    assert alone.shape == (1, 10, HEIGHT, WIDTH)
    assert not alone.any()


def test_memory_does_not_grow_with_the_distance() -> None:
    """Frames are made when they are read, so that a distance of 4000 frames would be 200 MB."""
    frame = np.zeros((128, 128, 3), np.uint8)
    frame[10:20, 10:20] = 255

    def peak_bytes(distance: int) -> int:
        prompt = ObjectPrompt(frame=-distance, box=(10, 10, 20, 20), positive=NONE, negative=NONE)
        tracemalloc.start()
        masks = track_from_before(
            lambda frames, objects: np.repeat(frames[None, ..., 0] > 0, len(objects), axis=0),
            np.repeat(frame[None], 4, axis=0),
            [[prompt]],
            lambda first, count: np.repeat(frame[None], count, axis=0),
        )
        assert (masks.sum((2, 3)) == 100).all()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    assert peak_bytes(4000) < 1.2 * peak_bytes(40)


def test_a_mask_prompts_by_its_box_and_its_deepest_point() -> None:
    mask = np.zeros((20, 30), bool)
    mask[4:13, 0:5] = mask[11:13, 0:25] = True
    prompt = prompt_of_mask(mask, frame=-3)
    assert (prompt.frame, prompt.box, len(prompt.negative)) == (-3, (0, 4, 25, 13), 0)
    ((x, y),) = prompt.positive
    assert x in (1, 2, 3)
    assert 6 <= y <= 11
