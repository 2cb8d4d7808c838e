import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.depth.structured import STEPS, decode_depth, encode_depth, skeleton_masks
from models.pose.skeleton import INDEX

shapes = hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=10)
depths = st.floats(-1e4, 1e4, width=32)


@given(st.data(), shapes)
def test_round_trip_is_within_half_a_step(data, shape):
    depth = data.draw(hnp.arrays(np.float32, shape, elements=depths))
    masks = data.draw(hnp.arrays(np.bool_, shape))
    coded = encode_depth(depth, masks)
    decoded = decode_depth(coded.png, minimum=coded.minimum, maximum=coded.maximum)
    assert decoded.dtype == np.float32
    assert np.array_equal(np.isnan(decoded), ~masks)
    step = (coded.maximum - coded.minimum) / STEPS
    rounding = np.spacing(np.float32(max(abs(coded.minimum), abs(coded.maximum))))  # decoded is float32
    assert (np.abs(decoded - depth)[masks] <= step / 2 + rounding).all()


@given(hnp.arrays(np.float32, shapes, elements=depths))
@example(np.array([[[2.775442e-36, -1.0]]], np.float32))
def test_order_is_kept_and_the_ends_are_exact(depth):
    coded = encode_depth(depth, np.ones(depth.shape, np.bool_))
    decoded = decode_depth(coded.png, minimum=coded.minimum, maximum=coded.maximum)
    assert decoded.min() == depth.min()
    assert decoded.max() == depth.max()
    near_to_far = depth.ravel().argsort()
    assert (np.diff(decoded.ravel()[near_to_far]) >= 0).all()


def test_values_are_as_documented():
    depth = np.array([[[1.0, 2.0, 3.0, 9.0]]], np.float32)
    coded = encode_depth(depth, np.array([[[True, True, True, False]]]))
    values = cv2.imdecode(np.frombuffer(coded.png[0], np.uint8), cv2.IMREAD_UNCHANGED)
    assert values.dtype == np.uint16
    assert values.tolist() == [[1, 32768, 65535, 0]]
    assert (coded.minimum, coded.maximum) == (1.0, 3.0)


def test_clip_shares_one_scale():
    depth = np.stack([np.full((4, 4), 1.0, np.float32), np.full((4, 4), 5.0, np.float32)])
    coded = encode_depth(depth, np.ones(depth.shape, np.bool_))
    decoded = decode_depth(coded.png, minimum=coded.minimum, maximum=coded.maximum)
    assert (decoded[0] == 1).all()
    assert (decoded[1] == 5).all()


def test_clip_without_a_skeleton_has_no_depth():
    coded = encode_depth(np.full((2, 4, 4), np.nan, np.float32), np.zeros((2, 4, 4), np.bool_))
    assert (coded.minimum, coded.maximum) == (0.0, 0.0)
    assert np.isnan(decode_depth(coded.png, minimum=0, maximum=0)).all()


def test_encode_refuses_depth_that_is_not_finite_and_other_shapes():
    with pytest.raises(ValueError, match="finite inside the masks, got 16 pixels that are not"):
        encode_depth(np.full((1, 4, 4), np.inf, np.float32), np.ones((1, 4, 4), np.bool_))
    with pytest.raises(ValueError, match="alike"):
        encode_depth(np.zeros((1, 4, 4), np.float32), np.ones((1, 4, 5), np.bool_))


def png(array):
    return cv2.imencode(".png", array)[1].tobytes()


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "0 frames"),
        ([b""], "frame 0 must be a 16-bit grey PNG, got no image"),
        ([b"not a picture"], "got no image"),
        ([png(np.zeros((4, 4), np.uint8))], r"got uint8 \(4, 4\)"),
        ([png(np.zeros((4, 4, 3), np.uint16))], r"got uint16 \(4, 4, 3\)"),
        ([png(np.zeros((4, 4), np.uint16)), png(np.zeros((4, 5), np.uint16))], "frame 1 has size"),
    ],
)
def test_decode_names_the_damaged_frame(frames, message):
    with pytest.raises(ValueError, match=message):
        decode_depth(frames, minimum=0, maximum=1)


def test_lines_follow_the_character_and_do_not_flicker():
    keypoints = np.zeros((3, 133, 3), np.float32)
    for t, height in enumerate((200, 200, 20)):
        keypoints[t, INDEX["left_hip"]] = (50, 10, 1)
        keypoints[t, INDEX["left_knee"]] = (50, 10 + height, 1)
    masks = skeleton_masks(keypoints, (240, 100), line_width_share=0.04)
    widths = masks[:, 15].sum(axis=1)
    assert (widths == widths[0]).all()
    assert 8 <= widths[0] <= 9
    half = keypoints * np.float32([0.5, 0.5, 1])
    assert 4 <= skeleton_masks(half, (240, 100), line_width_share=0.04)[0, 15].sum() <= 5
