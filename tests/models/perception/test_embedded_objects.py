from __future__ import annotations

import numpy as np
import pytest

from models.perception.embedded_objects import EmbeddedObjects, prompt_maps
from models.perception.prompts import ObjectPrompt
from models.puppets import object_prompts, render, render_frame, sample_interaction, sample_spec

NONE = np.zeros((0, 2), np.float32)


class Follower(EmbeddedObjects):
    """Tracker with a stub network that segments bright pixels near the box, and records its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, tuple[float, ...]]] = []

    def _predict(self, frame_HWC, around, box, positive, negative):
        self.calls.append((int(frame_HWC[0, 0, 2]), tuple(around)))
        x0, y0, x1, y1 = (round(value) for value in around)
        mask = np.zeros(frame_HWC.shape[:2], bool)
        area = np.s_[max(y0 - 4, 0) : y1 + 4, max(x0 - 4, 0) : x1 + 4]
        mask[area] = frame_HWC[area][..., 0] > 128
        return mask


def clip(xs: list[int | None]) -> np.ndarray:
    """Frames (T, 60, 120, 3) with a 10 x 10 object at x; blue of the first pixel is the frame's number."""
    frames = np.zeros((len(xs), 60, 120, 3), np.uint8)
    for t, x in enumerate(xs):
        frames[t, 0, 0, 2] = t
        if x is not None:
            frames[t, 20:30, x : x + 10, 0] = 255
    return frames


def box_at(frame: int, x: int) -> ObjectPrompt:
    return ObjectPrompt(frame=frame, box=(x, 20, x + 10, 30), positive=NONE, negative=NONE)


def test_an_object_is_tracked_in_both_directions() -> None:
    xs = [10, 13, 16, 19, 22, 25]
    masks = Follower().track(clip(xs), [box_at(3, 19)])
    assert [int(np.flatnonzero(mask.any(0))[0]) for mask in masks] == xs
    assert (masks.sum((1, 2)) == 100).all()


def test_a_lost_object_is_recovered_at_its_last_box() -> None:
    masks = Follower().track(clip([10, 12, None, None, 13, 15]), [box_at(0, 10)])
    assert masks.any((1, 2)).tolist() == [True, True, False, False, True, True]


def test_an_object_that_jumps_is_found_by_its_colours() -> None:
    xs = [10, 90, 50, 12]
    masks = Follower().track(clip(xs), [box_at(0, 10)])
    assert [int(np.flatnonzero(mask.any(0))[0]) for mask in masks] == xs


def test_a_hidden_object_is_found_where_it_appears_again() -> None:
    masks = Follower().track(clip([10, None, None, 80, 84]), [box_at(0, 10)])
    assert masks.any((1, 2)).tolist() == [True, False, False, True, True]
    assert int(np.flatnonzero(masks[4].any(0))[0]) == 84


def test_what_has_other_colours_is_not_the_object() -> None:
    frames = clip([10, 10, 10])
    frames[1, 20:30, 10:20] = (255, 255, 0)  # bright, hence a mask of the stub, but yellow
    masks = Follower().track(frames, [box_at(0, 10)])
    assert masks.any((1, 2)).tolist() == [True, False, True]


def test_an_object_that_comes_nearer_is_followed() -> None:
    frames = np.zeros((12, 60, 120, 3), np.uint8)
    for t in range(12):
        frames[t, 20 : 30 + t, 10 : 20 + t, 0] = 255
    masks = Follower().track(frames, [box_at(0, 10)])
    assert [int(mask.sum()) for mask in masks] == [(10 + t) ** 2 for t in range(12)]


def test_an_object_that_the_prompted_frame_does_not_show_is_in_no_frame() -> None:
    assert not Follower().track(clip([None, 10, 10]), [box_at(0, 60)]).any()


def test_every_frame_is_reached_from_the_nearest_prompt() -> None:
    follower = Follower()
    follower.track(clip([10] * 4 + [50] * 4), [box_at(6, 50), box_at(1, 10)])
    assert sorted(t for t, _ in follower.calls) == list(range(8))
    assert {t for t, around in follower.calls if around[0] > 40} == {4, 5, 6, 7}


def test_prompt_maps_mark_box_and_points() -> None:
    maps = prompt_maps(32, (4, 8, 12, 20), np.array([[6, 10]], np.float32), np.array([[30, 2]], np.float32))
    assert maps.shape == (32, 32, 2)
    assert maps[..., 0].sum() == 8 * 12
    assert maps[10, 6, 1] == pytest.approx(1, abs=1e-3)
    assert maps[2, 30, 1] == pytest.approx(-1, abs=1e-3)
    outside = prompt_maps(32, (-50, -50, 500, 500), np.array([[400, 400]], np.float32), NONE)
    assert outside[..., 0].all()
    assert abs(outside[..., 1]).max() == 0


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a box or a positive point"):
        ObjectPrompt(frame=0, box=None, positive=NONE, negative=np.ones((1, 2), np.float32))


def test_an_object_of_a_puppet_is_tracked_through_a_clip() -> None:
    objects = EmbeddedObjects()
    followed = 0
    ious = []
    for seed in range(2_000_000, 2_000_030):
        spec = sample_spec(seed, split="heldout", size_px=(192, 256), num_shots=1)
        if not spec.objects or followed == 4:
            continue
        puppets = [render_frame(spec, t / 12) for t in range(6)]
        truth = np.stack([puppet.object_masks[spec.objects[0].object_id] for puppet in puppets])
        if truth.mean((1, 2)).min() < 0.002:
            continue
        followed += 1
        ys, xs = np.nonzero(truth[2])
        box = (float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1))
        prompt = ObjectPrompt(frame=2, box=box, positive=NONE, negative=NONE)
        masks = objects.track(np.stack([puppet.rgb for puppet in puppets]), [prompt])
        ious.append(((masks & truth).sum((1, 2)) / (masks | truth).sum((1, 2))).mean())
    assert followed == 4
    assert np.mean(ious) > 0.7


def test_a_thrown_ball_is_tracked_through_the_clip() -> None:
    objects = EmbeddedObjects()
    ious = []
    for seed in range(6):
        spec = sample_interaction(seed, split="heldout", size_px=(192, 144), kind="thrown")
        puppets = list(render(spec, 8, 12))
        frames = np.stack([puppet.rgb for puppet in puppets])
        truth = np.stack([puppet.object_masks["ball"] for puppet in puppets])
        (given,) = (
            prompt
            for prompt in object_prompts(spec, puppets, [t / 8 for t in range(12)])
            if prompt["object_id"] == "ball"
        )
        x0, y0, x1, y1 = given["box"]
        prompt = ObjectPrompt(
            frame=round(8 * given["seconds"]), box=(x0, y0, x1 + 1, y1 + 1), positive=NONE, negative=NONE
        )
        masks = objects.track(frames, [prompt])
        ious.append((masks & truth).sum() / (masks | truth).sum())
    assert np.mean(ious) > 0.8
