from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.compositing.reference import MARGIN_SHARE, crop_to_character, on_background, random_background
from models.pose.skeleton import INDEX, NUM_KEYPOINTS

canvases = st.tuples(st.sampled_from([32, 64, 96]), st.sampled_from([32, 48, 96]))


@given(
    canvas=canvases,
    top=st.integers(1, 59),
    left=st.integers(1, 59),
    height=st.integers(10, 40),
    width=st.integers(10, 40),
)
def test_the_character_is_whole_and_as_large_as_the_canvas_allows(
    canvas: tuple[int, int], top: int, left: int, height: int, width: int
) -> None:
    """A white box on black, anywhere inside a picture of 100 × 100, with keypoints at its corners' pixels."""
    mask = np.zeros((100, 100), np.bool_)
    mask[top : top + height, left : left + width] = True
    picture = np.repeat(mask[..., None] * np.uint8(255), 3, axis=2)
    keypoints = np.zeros((NUM_KEYPOINTS, 3), np.float32)
    keypoints[INDEX["nose"]] = (left, top, 1)
    keypoints[INDEX["left_ankle"]] = (left + width - 1, top + height - 1, 1)
    found = crop_to_character(picture, keypoints, size_px=canvas, mask_HW=mask)
    assert found.picture_HWC.shape == (*canvas, 3)
    assert found.mask_HW is not None
    rows, columns = np.nonzero(found.mask_HW)
    share = min(
        side / (box + 2 * MARGIN_SHARE * max(height, width)) for side, box in zip(canvas, (height, width), strict=True)
    )
    # The crop is a whole number of pixels of the picture.
    slack = 2 * share + 1.5
    np.testing.assert_allclose((np.ptp(rows) + 1, np.ptp(columns) + 1), (height * share, width * share), atol=slack)
    np.testing.assert_allclose((rows.mean(), columns.mean()), (np.array(canvas) - 1) / 2, atol=slack)
    # Picture and keypoints go with the mask.
    assert np.abs(found.picture_HWC[..., 0].astype(int) - found.mask_HW * 255).mean() < 25
    corners = found.keypoints_K3[[INDEX["nose"], INDEX["left_ankle"]]]
    half = share / 2
    np.testing.assert_allclose(corners[0, :2] - half + 0.5, (columns.min(), rows.min()), atol=1.1)
    np.testing.assert_allclose(corners[1, :2] + half - 0.5, (columns.max(), rows.max()), atol=1.1)
    assert (corners[:, 2] == 1).all()


def test_without_a_mask_the_skeleton_says_where_the_character_is() -> None:
    picture = np.zeros((100, 200, 3), np.uint8)
    keypoints = np.zeros((NUM_KEYPOINTS, 3), np.float32)
    keypoints[INDEX["nose"]] = (150, 20, 1)
    keypoints[INDEX["left_ankle"]] = (150, 80, 1)
    keypoints[INDEX["left_wrist"]] = (10, 50, 0.1)
    found = crop_to_character(picture, keypoints, size_px=(64, 64))
    assert found.mask_HW is None
    nose, ankle = found.keypoints_K3[[INDEX["nose"], INDEX["left_ankle"]]]
    assert nose[0] == pytest.approx(31.5, abs=1)
    assert 5 < nose[1] < 12
    assert nose[1] + ankle[1] == pytest.approx(63, abs=2)


def test_the_edge_is_continued_beyond_the_picture() -> None:
    picture = np.full((40, 40, 3), 77, np.uint8)
    mask = np.zeros((40, 40), np.bool_)
    mask[:, 30:] = True
    found = crop_to_character(picture, np.zeros((NUM_KEYPOINTS, 3), np.float32), size_px=(64, 64), mask_HW=mask)
    assert (found.picture_HWC == 77).all()
    assert found.mask_HW is not None
    assert not found.mask_HW[:, -10:].any()


def test_a_picture_without_a_character_is_refused() -> None:
    picture, keypoints = np.zeros((40, 40, 3), np.uint8), np.zeros((NUM_KEYPOINTS, 3), np.float32)
    with pytest.raises(ValueError, match="mask is empty"):
        crop_to_character(picture, keypoints, size_px=(32, 32), mask_HW=np.zeros((40, 40), np.bool_))
    keypoints[0, 2] = 1
    with pytest.raises(ValueError, match="got 1 keypoints"):
        crop_to_character(picture, keypoints, size_px=(32, 32))


def test_backgrounds_are_drawn_and_show_around_the_mask() -> None:
    backgrounds = [random_background((24, 16), np.random.default_rng(seed)) for seed in range(60)]
    colours = [len(np.unique(background.reshape(-1, 3), axis=0)) for background in backgrounds]
    assert 10 < sum(number == 1 for number in colours) < 30
    assert all(background.shape == (24, 16, 3) for background in backgrounds)
    assert np.array_equal(backgrounds[7], random_background((24, 16), np.random.default_rng(7)))
    mask = np.zeros((24, 16), np.bool_)
    mask[4:9, 4:9] = True
    picture = np.full((24, 16, 3), 9, np.uint8)
    set_on = on_background(picture, mask, backgrounds[3])
    assert (set_on[mask] == 9).all()
    assert np.array_equal(set_on[~mask], backgrounds[3][~mask])
