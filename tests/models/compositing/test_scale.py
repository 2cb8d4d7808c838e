from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.compositing.scale import background_of, ground_points, recompose, scale_about
from models.puppets import render, sample_spec

boxes = st.tuples(st.integers(4, 20), st.integers(4, 20), st.integers(4, 16), st.integers(4, 16))
scales = st.floats(1.0, 1.5)


def clip(box: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two frames of 48 × 40 with a red character, a green object to its right, and a grey background."""
    top, left, height, width = box
    frames = np.full((2, 48, 40, 3), 128, np.uint8)
    character, objects = np.zeros((2, 48, 40), np.bool_), np.zeros((2, 48, 40), np.bool_)
    character[:, top : top + height, left : left + width] = True
    objects[:, top : top + 3, left + width : left + width + 3] = True
    frames[character], frames[objects] = (255, 0, 0), (0, 255, 0)
    return frames, character, objects


@given(boxes, scales)
def test_the_character_grows_about_the_point_where_it_stands(box: tuple[int, int, int, int], scale: float) -> None:
    top, left, height, width = box
    frames, character, objects = clip(box)
    large = recompose(frames, character, objects, scale)
    assert large.anchors_T2[0].tolist() == [left + (width - 1) / 2, top + height - 1]
    rows, columns = np.nonzero(large.character_THW[0])
    sides = np.array([np.ptp(rows) + 1, np.ptp(columns) + 1])
    room = np.array([top + height, 40])
    np.testing.assert_allclose(sides, np.minimum(scale * np.array([height, width]), room), atol=2)
    # It stays on its ground, to a pixel.
    assert abs(rows.max() - (top + height - 1)) <= 1 + (scale - 1) / 2


@given(boxes, scales)
def test_keypoints_move_with_the_pixels(box: tuple[int, int, int, int], scale: float) -> None:
    """The corner of a large enough character, before and after."""
    frames, character, objects = clip(box)
    top, left, _, _ = box
    large = recompose(frames, character, objects, scale)
    corner = np.array([[[left - 0.5, top - 0.5, 1.0]]] * 2, np.float32)
    x, y, score = scale_about(corner, scale, large.anchors_T2)[0, 0]
    assert score == 1
    rows, columns = np.nonzero(large.character_THW[0])
    assert abs(max(x + 0.5, 0) - columns.min()) <= 1
    assert abs(max(y + 0.5, 0) - rows.min()) <= 1


@given(boxes, scales)
def test_every_pixel_is_of_the_enlarged_or_of_the_background(box: tuple[int, int, int, int], scale: float) -> None:
    frames, character, objects = clip(box)
    before = frames.copy()
    large = recompose(frames, character, objects, scale)
    assert np.array_equal(frames, before)
    neither = ~large.character_THW & ~large.objects_THW
    assert (large.frames_THWC[neither] == 128).all()
    assert (large.scene_THWC[~large.objects_THW & ~character] == 128).all()
    # The scene shows the objects where the frames do, and no character.
    both = large.objects_THW & ~large.character_THW
    assert np.array_equal(large.scene_THWC[both], large.frames_THWC[both])
    assert (large.scene_THWC[..., 0] <= 130).all()


@given(boxes)
def test_scale_1_changes_nothing(box: tuple[int, int, int, int]) -> None:
    frames, character, objects = clip(box)
    same = recompose(frames, character, objects, 1.0)
    assert np.array_equal(same.frames_THWC, frames)
    assert np.array_equal(same.character_THW, character)
    assert np.array_equal(same.objects_THW, objects)


def test_a_smaller_character_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at least 1, got 0\.9"):
        recompose(*clip((4, 4, 8, 8)), 0.9)


def test_frames_without_a_character_have_the_point_of_the_nearest() -> None:
    masks = np.zeros((5, 10, 12), np.bool_)
    masks[1, 2:5, 3:6] = masks[4, 4:8, 8:11] = True
    assert ground_points(masks).tolist() == [[4, 4], [4, 4], [4, 4], [9, 7], [9, 7]]
    assert ground_points(masks[:1]).tolist() == [[5.5, 9]]


@given(st.integers(0, 1000), st.integers(3, 40), st.integers(3, 40))
def test_the_background_is_a_blend_of_what_is_kept(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    hole = rng.uniform(size=(height, width)) < rng.uniform()
    picture = rng.integers(60, 90, (height, width, 3), dtype=np.uint8)
    picture[hole] = 255
    background = background_of(picture, hole)
    assert background.shape == picture.shape
    if hole.all():
        assert (background == 255).all()
    else:
        assert background.min() >= 59
        assert background.max() <= 90


def test_the_background_is_that_of_the_surroundings() -> None:
    """A puppet's frame: what is filled is nearer to the true background than the puppet is."""
    spec = sample_spec(5, size_px=(96, 96), num_shots=1, duration_seconds=1.0)
    frame = next(iter(render(spec, 4.0, 1)))
    left = frame.rgb[:, :20].reshape(-1, 3).mean(axis=0)
    inside = background_of(frame.rgb, frame.character_mask)[frame.character_mask]
    assert np.abs(inside - left).mean() < 0.7 * np.abs(frame.rgb[frame.character_mask] - left).mean()
