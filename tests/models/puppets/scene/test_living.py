from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from models.puppets.scene.living import LIVING_KINDS, draw_living
from models.puppets.scene.scenery import KINDS
from models.puppets.spec import ScenerySpec

SIZE = (192, 144)


def _scenery(kind: str, seed: int = 4) -> ScenerySpec:
    return ScenerySpec(kind=kind, seed=seed, palette=seed, light=1.0, drift=0.02)


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b).mean())


def test_living_kinds_are_their_own() -> None:
    assert not set(LIVING_KINDS) & set(KINDS)


@pytest.mark.parametrize("kind", LIVING_KINDS)
def test_the_motion_is_clearly_visible_and_has_no_jumps(kind: str) -> None:
    for seed in (1, 2, 3):
        scenery = _scenery(kind, seed)
        frames = [draw_living(scenery, SIZE, index / 8.0) for index in range(6)]
        assert min(_difference(a, b) for a, b in pairwise(frames)) >= 3.0
        fine = [draw_living(scenery, SIZE, 1.0 + index / 240.0) for index in range(10)]
        steps = [_difference(a, b) for a, b in pairwise(fine)]
        assert max(steps) < 2.0 * np.mean(steps) + 0.5


@pytest.mark.parametrize("kind", LIVING_KINDS)
def test_time_and_seed_determine_the_picture(kind: str) -> None:
    frame = draw_living(_scenery(kind), SIZE, 0.7)
    assert frame.shape == (*SIZE, 3)
    assert frame.dtype == np.uint8
    draw_living(_scenery(kind), SIZE, 3.1)
    np.testing.assert_array_equal(frame, draw_living(_scenery(kind), SIZE, 0.7))
    assert _difference(frame, draw_living(_scenery(kind, 5), SIZE, 0.7)) > 3.0


@pytest.mark.parametrize("kind", LIVING_KINDS)
def test_any_frame_size_shows_the_same_scene(kind: str) -> None:
    small, large = (draw_living(_scenery(kind), size, 0.4) for size in ((96, 72), (192, 144)))
    halved = large.reshape(96, 2, 72, 2, 3).mean(axis=(1, 3))
    assert np.corrcoef(small.mean(axis=2).ravel(), halved.mean(axis=2).ravel())[0, 1] > 0.7
    assert draw_living(_scenery(kind), (64, 160), 0.4).shape == (64, 160, 3)


def test_water_falls_half_a_frame_height_per_second() -> None:
    scenery = _scenery("waterfall")
    first, second = (draw_living(scenery, SIZE, seconds)[50:130, 50:94, 1].astype(float) for seconds in (0.0, 0.1))
    mismatch = [np.abs(second[20:] - np.roll(first, rows, axis=0)[20:]).mean() for rows in range(20)]
    assert abs(int(np.argmin(mismatch)) - 0.1 * 0.5 * SIZE[0]) <= 2.5
    assert min(mismatch) < 0.5 * mismatch[0]


@pytest.mark.parametrize(("kind", "upwards"), [("fire", True), ("smoke", True), ("snowfall", False), ("leaves", False)])
def test_flames_and_smoke_rise_and_what_falls_sinks(kind: str, upwards: bool) -> None:
    moved = []
    for seed in (1, 2, 3):
        a, b = (draw_living(_scenery(kind, seed), SIZE, t)[20:170].astype(float) for t in (0.5, 0.54))
        up = np.abs(b[6:-6] - a[9:-3]).mean() + np.abs(b[6:-6] - a[7:-5]).mean()
        down = np.abs(b[6:-6] - a[3:-9]).mean() + np.abs(b[6:-6] - a[5:-7]).mean()
        moved.append(down - up)
    assert (np.mean(moved) > 0.0) == upwards
