import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_in_onnx import CELL_PX, HEIGHT_PX

from models.perception.dwpose.detector import FILL, GRID, MAX_IOU, SIDE_PX, decode, letterbox, surviving
from models.perception.dwpose.pose import DwposePose


def with_square(x0: int, y0: int, side: int, *, height: int, width: int) -> np.ndarray:
    frame = np.zeros((height, width, 3), np.uint8)
    frame[y0 : y0 + side, x0 : x0 + side, 0] = 255
    return frame


@pytest.mark.parametrize(("height", "width"), [(640, 640), (320, 160), (160, 320), (1280, 960)])
def test_boxes_are_in_pixels_of_the_frame(dwpose: DwposePose, height: int, width: int) -> None:
    scale = SIDE_PX / max(height, width)
    side = round(CELL_PX / scale)
    frame = with_square(2 * side, 3 * side, side, height=height, width=width)
    ((x0, y0, x1, y1, score),) = dwpose.detector.boxes(frame[None])[0]
    # Resizing to the input smears the square's edges over the neighbouring cells, so the score is below 1.
    assert 0.75 < score <= 1
    np.testing.assert_allclose([(x0 + x1) / 2, (y0 + y1) / 2], [2.5 * side, 3.5 * side], atol=0.01)
    np.testing.assert_allclose([x1 - x0, y1 - y0], [HEIGHT_PX / 2 / scale, HEIGHT_PX / scale], rtol=1e-4)


def test_a_clip_equals_its_frames(dwpose: DwposePose) -> None:
    frames = np.stack([with_square(32 * t, 64, 32, height=640, width=640) for t in range(11)])
    frames[4] = 0
    boxes = dwpose.detector.boxes(frames)
    assert [len(boxes_N5) for boxes_N5 in boxes] == [1] * 4 + [0] + [1] * 6
    for t, boxes_N5 in enumerate(boxes):
        np.testing.assert_array_equal(boxes_N5, dwpose.detector.boxes(frames[t : t + 1])[0])


def test_the_input_is_bgr_with_padding_below_or_to_the_right() -> None:
    planes = np.full((3, SIDE_PX, SIDE_PX), np.nan, np.float32)
    frame = np.zeros((100, 50, 3), np.uint8)
    frame[...] = 10, 20, 30
    letterbox(frame, planes)
    np.testing.assert_array_equal(planes[:, 0, 0], [30, 20, 10])
    np.testing.assert_array_equal(planes[:, -1, 319], [30, 20, 10])
    assert (planes[:, :, 320:] == FILL).all()
    letterbox(frame.transpose(1, 0, 2), planes)
    np.testing.assert_array_equal(planes[:, 319, -1], [30, 20, 10])
    assert (planes[:, 320:] == FILL).all()


def test_only_confident_persons_are_kept() -> None:
    prediction = np.zeros((len(GRID), 85), np.float32)
    prediction[[0, 100, 2000, 8399], 4] = 0.9, 0.9, 0.5, 1.0
    prediction[[0, 2000], 5] = 1.0, 0.5  # the second is a person of score 0.25
    prediction[100, 6] = 1.0  # a bicycle
    prediction[8399, 5] = 0.5
    boxes_N5 = decode(prediction, scale=2.0)
    np.testing.assert_allclose(boxes_N5[:, 4], [0.9, 0.5])
    np.testing.assert_allclose(boxes_N5[0, :4], [-2, -2, 2, 2])
    np.testing.assert_allclose(boxes_N5[1, :4], [296, 296, 312, 312])


boxes = st.lists(st.tuples(*[st.floats(0, 100, width=32)] * 2, *[st.floats(1, 60, width=32)] * 2), max_size=30)


@given(boxes)
def test_kept_boxes_do_not_overlap_and_others_overlap_a_better_one(sides: list[tuple[float, ...]]) -> None:
    boxes_N5 = np.array([(x, y, x + w, y + h) for x, y, w, h in sides], np.float32).reshape(-1, 4)
    kept = surviving(boxes_N5)
    wide = boxes_N5.astype(np.float64) + np.array([0, 0, 1, 1])

    def iou(a: np.ndarray, b: np.ndarray) -> float:
        shared = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
        return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))

    assert kept.tolist() == sorted(kept.tolist())
    for position, k in enumerate(kept):
        assert all(iou(wide[k], wide[other]) <= MAX_IOU + 1e-5 for other in kept[:position])
    for lost in set(range(len(boxes_N5))) - set(kept.tolist()):
        assert any(iou(wide[lost], wide[k]) > MAX_IOU - 1e-5 for k in kept if k < lost)
