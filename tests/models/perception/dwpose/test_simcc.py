from pathlib import Path

import cv2
import numpy as np
import pytest
from golden import GOLDEN
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file
from stand_in_onnx import save_colours_pose, save_rtmw, smooth_picture

from models.perception.dwpose.pose import DwposePose
from models.perception.dwpose.simcc import (
    HEIGHT_PX,
    MEAN,
    RTMW,
    STD,
    WIDTH_PX,
    SimccPose,
    cut,
    decode,
    normalise,
    windows,
)


def dots(where: list[tuple[int, int]], *, height: int = 200, width: int = 300) -> np.ndarray:
    frames = np.zeros((len(where), height, width, 3), np.uint8)
    for frame, (x, y) in zip(frames, where, strict=True):
        frame[y, x, 2] = 255
    return frames


def test_keypoints_are_at_the_drawn_positions(dwpose: DwposePose) -> None:
    where = [(40 + 19 * t, 30 + 11 * t) for t in range(13)]
    boxes = np.array([(x - 30, y - 50, x + 20, y + 45) for x, y in where], np.float32)
    keypoints_NK3 = dwpose.pose.keypoints(dots(where), np.arange(13), boxes)
    assert keypoints_NK3.shape == (13, 133, 3)
    assert keypoints_NK3.dtype == np.float32
    # A bin is half a pixel of the crop, here 0.16 pixels of the frame.
    assert np.abs(keypoints_NK3[..., :2] - np.array(where)[:, None]).max() < 0.5
    assert keypoints_NK3[..., 2].min() > 0.8
    assert keypoints_NK3[..., 2].max() <= 1


def test_each_person_of_a_frame_has_its_own_keypoints(dwpose: DwposePose) -> None:
    frame = dots([(50, 100)]) + dots([(250, 90)])
    boxes = np.array([(30, 60, 80, 140), (220, 50, 290, 150)], np.float32)
    keypoints_NK3 = dwpose.pose.keypoints(frame, np.array([0, 0]), boxes)
    np.testing.assert_allclose(keypoints_NK3[:, 0, :2], [(50, 100), (250, 90)], atol=0.5)


def test_no_persons_give_empty_keypoints(dwpose: DwposePose) -> None:
    keypoints_NK3 = dwpose.pose.keypoints(dots([(5, 5)]), np.empty(0, np.int64), np.empty((0, 4), np.float32))
    assert keypoints_NK3.shape == (0, 133, 3)


@given(
    st.tuples(*[st.floats(-50, 400)] * 2, *[st.floats(2, 500)] * 2),
    st.lists(st.tuples(st.integers(0, 575), st.integers(0, 767)), min_size=1, max_size=5),
)
def test_decode_inverts_the_crop(box: tuple[float, float, float, float], bins: list[tuple[int, int]]) -> None:
    x0, y0, width, height = box
    origin, size = windows(np.array([(x0, y0, x0 + width, y0 + height)]))
    assert size[0, 0] / size[0, 1] == pytest.approx(WIDTH_PX / HEIGHT_PX)
    assert (size[0] >= np.array([width, height]) * 1.25 - 1e-6).all()
    x, y = np.zeros((1, len(bins), 576), np.float32), np.zeros((1, len(bins), 768), np.float32)
    for k, (column, row) in enumerate(bins):
        x[0, k, column], y[0, k, row] = 0.75, 0.5
    keypoints_NK3 = decode(x, y, origin, size, top_score=1.0)[0]
    np.testing.assert_array_equal(keypoints_NK3[:, 2], 0.5)
    expected = origin + np.array(bins) / 2 * size / (WIDTH_PX, HEIGHT_PX)
    np.testing.assert_allclose(keypoints_NK3[:, :2], expected, rtol=1e-5, atol=1e-4)


def test_a_keypoint_without_a_positive_maximum_scores_zero() -> None:
    origin, size = np.array([[10.0, 20.0]]), np.array([[288.0, 384.0]])
    x, y = np.full((1, 133, 576), -1, np.float32), np.ones((1, 133, 768), np.float32)
    keypoints_NK3 = decode(x, y, origin, size, top_score=1.0)
    np.testing.assert_array_equal(keypoints_NK3, np.broadcast_to(np.array([9.5, 19.5, 0], np.float32), (1, 133, 3)))


@given(st.integers(0, 2**32 - 1))
def test_the_crop_is_an_affine_warp(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = cv2.resize(rng.integers(0, 256, (12, 9, 3), dtype=np.uint8), (90, 120), interpolation=cv2.INTER_CUBIC)
    first = rng.uniform(-40, 80, 2)
    origin, size = windows(np.array([[*first, *(first + rng.uniform(10, 150, 2))]]))
    scale = WIDTH_PX / size[0, 0]
    matrix = np.array([[scale, 0, -scale * origin[0, 0]], [0, scale, -scale * origin[0, 1]]])
    warped = cv2.warpAffine(frame, matrix, (WIDTH_PX, HEIGHT_PX), flags=cv2.INTER_LINEAR)
    # The borders of the picture fall to black within a pixel, so a 64th of one shows.
    assert np.abs(cut(frame, origin[0], size[0]).astype(int) - warped).max() <= 9


@pytest.mark.parametrize(("is_bgr", "channels"), [(True, (30, 20, 10)), (False, (10, 20, 30))])
def test_the_input_has_the_published_order_and_mean(is_bgr: bool, channels: tuple[int, ...]) -> None:
    planes = np.full((3, HEIGHT_PX, WIDTH_PX), np.nan, np.float32)
    crop = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    crop[...] = 10, 20, 30
    normalise(crop, planes, is_bgr=is_bgr)
    expected = (np.array(channels) - MEAN) / STD
    np.testing.assert_allclose(planes, np.broadcast_to(expected[:, None, None], planes.shape), atol=1e-5)


def test_scores_of_rtmw_are_0_to_1(tmp_path: Path) -> None:
    """Its outputs are 0–10; at a score of 0.5 only, the blue dots are half as bright."""
    save_rtmw(tmp_path / "rtmw.onnx")
    pose = SimccPose(tmp_path / "rtmw.onnx", form=RTMW)
    frames = dots([(50, 100), (50, 100)])
    frames[1] //= 2
    keypoints_NK3 = pose.keypoints(frames, np.array([0, 1]), np.array([(30, 60, 80, 140)] * 2, np.float32))
    np.testing.assert_allclose(keypoints_NK3[:, 0, :2], [(50, 100)] * 2, atol=0.5)
    np.testing.assert_allclose(keypoints_NK3[:, :, 2], np.broadcast_to([[1.0], [0.5]], (2, 133)), atol=0.1)


def test_rtmw_matches_rtmlib(tmp_path: Path) -> None:
    """Boxes inside, partly outside and wider than the picture; rtmlib 0.0.16 was given the picture in RGB."""
    save_colours_pose(tmp_path / "colours.onnx")
    golden = load_file(GOLDEN / "rtmw" / "outputs.safetensors")
    pose = SimccPose(tmp_path / "colours.onnx", form=RTMW)
    keypoints_NK3 = pose.keypoints(smooth_picture()[None], np.zeros(3, np.int64), golden["boxes"])
    np.testing.assert_allclose(keypoints_NK3[..., :2], golden["keypoints"], atol=1e-3)
    np.testing.assert_allclose(keypoints_NK3[..., 2], (golden["scores"] / RTMW.top_score).clip(0, 1), atol=1e-5)
