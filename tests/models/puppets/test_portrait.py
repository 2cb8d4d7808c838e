from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from models.puppets import (
    BACKGROUND_DEPTH,
    LIVING_KINDS,
    PuppetVideoSpec,
    face_twin,
    living_scene,
    render_frame,
    sample_portrait,
    sample_portrait_pair,
)
from models.puppets.motion.catalogue import HELDOUT_GESTURES, TRAIN_GESTURES
from models.puppets.render import skeleton_at

SIZE = (192, 144)
FACE = slice(23, 91)
MOUTH = slice(23 + 48, 23 + 68)
INNER_FACE = slice(23 + 27, 91)
SHOULDERS = [5, 6]
MOMENTS = (0.0, 0.55, 1.3)


@pytest.fixture(scope="module", params=["train", "heldout"])
def portraits(request: pytest.FixtureRequest) -> list[PuppetVideoSpec]:
    return [sample_portrait(seed, split=request.param) for seed in range(12)]


def test_faces_are_large_uncovered_and_turned_to_the_camera(portraits: list[PuppetVideoSpec]) -> None:
    for spec in portraits:
        for seconds in MOMENTS:
            keypoints = render_frame(spec, seconds).keypoints
            assert 42.0 < np.ptp(keypoints[FACE, 1]) < 82.0
            assert (keypoints[INNER_FACE, 2] == 2).mean() > 0.9
            assert (keypoints[SHOULDERS, 2] > 0).all()
            forwards = skeleton_at(spec, spec.shots[0], seconds).head_axes[:, 2]
            assert abs(math.atan2(forwards[0], forwards[2])) < math.radians(37.0)


def test_portraits_are_one_still_shot_in_living_scenery_without_objects(portraits: list[PuppetVideoSpec]) -> None:
    for spec in portraits:
        (shot,) = spec.shots
        assert (shot.pan, shot.sway, shot.zoom) == (0.0, 0.0, 0.0)
        assert shot.scenery.kind in LIVING_KINDS
        assert not spec.objects
    assert len({spec.shots[0].scenery.kind for spec in portraits}) >= 3
    gestures = TRAIN_GESTURES if portraits[0].split == "train" else HELDOUT_GESTURES
    assert {spec.motion.name for spec in portraits} <= set(gestures)
    assert {spec.character.body for spec in portraits} == {"human", "anthropomorphic"}


def test_the_face_and_the_scenery_move(portraits: list[PuppetVideoSpec]) -> None:
    openings = []
    for spec in portraits[:6]:
        frames = [render_frame(spec, index / 8.0) for index in range(10)]
        outside = ~np.any([frame.character_mask for frame in frames], axis=0)
        assert outside.mean() > 0.15
        steps = np.diff(np.stack([frame.rgb[outside].astype(int) for frame in frames]), axis=0)
        assert np.abs(steps).mean() >= 3.0
        openings.append([np.ptp(frame.keypoints[MOUTH, 1]) / np.ptp(frame.keypoints[FACE, 1]) for frame in frames])
    assert np.std(openings, axis=1).mean() > 0.02


def test_the_seed_determines_the_portrait() -> None:
    assert sample_portrait(3) == sample_portrait(3)
    assert sample_portrait(3) != sample_portrait(4)
    assert sample_portrait(3, body="human", size_px=(96, 96)).character.body == "human"
    with pytest.raises(ValueError, match="split is 'test'"):
        sample_portrait(3, split="test")  # type: ignore[arg-type]  # what it refuses


@pytest.mark.parametrize("seed", range(4))
def test_a_twin_has_another_face_with_the_same_expression_at_the_same_place(seed: int) -> None:
    spec = sample_portrait(seed)
    twin = face_twin(spec, seed)
    assert twin.character.recipe != spec.character.recipe
    assert (twin.motion, twin.split) == (spec.motion, spec.split)
    assert twin.shots[0].scenery.kind != spec.shots[0].scenery.kind
    assert face_twin(spec, seed) == twin
    shapes = []
    for seconds in np.arange(0.0, 2.0, 0.125):
        frame, other = render_frame(spec, float(seconds)), render_frame(twin, float(seconds))
        head, other_head = (f.keypoints[FACE, :2].mean(axis=0) for f in (frame, other))
        assert np.linalg.norm(head - other_head) < 0.07 * SIZE[0]
        shapes.append([np.ptp(f.keypoints[MOUTH, 1]) for f in (frame, other)])
        shown = (frame.character_mask | other.character_mask).astype(np.uint8)
        outside = cv2.dilate(shown, np.ones((5, 5))) == 0
        # What is seen beside a twin's face tells nothing of the portrait's scenery.
        assert np.abs(frame.rgb[outside].astype(int) - other.rgb[outside]).mean() > 8
    assert np.corrcoef(np.transpose(shapes))[0, 1] > 0.8


@pytest.mark.parametrize("seed", range(3))
def test_pairs_differ_in_character_and_scenery_and_move_in_sync(seed: int) -> None:
    pair = sample_portrait_pair(seed)
    assert pair == sample_portrait_pair(seed)
    assert pair.target == sample_portrait(seed, split="heldout")
    assert pair.driving.motion == pair.target.motion
    assert pair.driving.character.body == "human"
    assert pair.driving.character.recipe != pair.target.character.recipe
    assert pair.driving.shots[0].scenery.kind != pair.target.shots[0].scenery.kind
    faces = [render_frame(spec, 0.6).keypoints[FACE, :2].mean(axis=0) for spec in (pair.target, pair.driving)]
    assert np.linalg.norm(faces[0] - faces[1]) < 0.07 * SIZE[0]


def test_a_living_scene_shows_nobody() -> None:
    spec = living_scene(2)
    frame, later = render_frame(spec, 0.3), render_frame(spec, 0.5)
    assert spec == living_scene(2)
    assert spec.shots[0].scenery.kind in LIVING_KINDS
    assert not frame.character_mask.any()
    assert not frame.keypoints.any()
    assert (frame.depth == BACKGROUND_DEPTH).all()
    assert not frame.object_masks
    assert np.abs(frame.rgb.astype(int) - later.rgb).mean() > 1.0
    assert len({living_scene(seed).shots[0].scenery.kind for seed in range(20)}) >= 5
