import numpy as np
import pytest
from golden import GOLDEN
from safetensors.numpy import load_file

from models.pose import openpose
from models.pose.openpose import from_openpose, to_openpose
from models.pose.skeleton import INDEX


@pytest.mark.parametrize("image", ["rabbit", "orange", "silver_hair", "waterfall_girl", "empty"])
def test_published_conversion(image: str) -> None:
    golden = load_file(GOLDEN / "dwpose" / "outputs.safetensors")
    keypoints = np.concatenate([golden[f"{image}.bgr.keypoints"], golden[f"{image}.bgr.scores"][..., None]], axis=-1)
    points = to_openpose(keypoints)
    np.testing.assert_allclose(points[..., :2], golden[f"{image}.bgr.openpose_keypoints"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(points[..., 2], golden[f"{image}.bgr.openpose_scores"], rtol=0, atol=0)


def test_right_comes_first_and_the_neck_is_between_the_shoulders() -> None:
    keypoints = np.zeros((2, 133, 3), np.float32)
    keypoints[..., 2] = 0.9
    keypoints[..., INDEX["left_shoulder"], :] = 30, 12, 0.8
    keypoints[..., INDEX["right_shoulder"], :] = 10, 10, 0.4
    keypoints[1, INDEX["right_shoulder"], 2] = 0.2
    points = to_openpose(keypoints)
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points[0, [1, 2, 5]], np.float32([[20, 11, 1], [10, 10, 0.4], [30, 12, 0.8]]))
    assert points[1, 1, 2] == 0
    assert [part.stop - part.start for part in (openpose.BODY, openpose.FEET, openpose.FACE)] == [18, 6, 68]


def test_round_trip() -> None:
    keypoints = np.random.default_rng(0).random((2, 133, 3), np.float32)
    np.testing.assert_array_equal(from_openpose(to_openpose(keypoints)), keypoints)


def test_refuses_another_layout() -> None:
    with pytest.raises(ValueError, match=r"must be \(..., 133, 3\), got \(17, 3\)"):
        to_openpose(np.zeros((17, 3), np.float32))
    with pytest.raises(ValueError, match=r"must be \(..., 134, 3\), got \(133, 3\)"):
        from_openpose(np.zeros((133, 3), np.float32))
