import cv2
import numpy as np
import pytest
from golden import GOLDEN, optional_golden
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from safetensors.numpy import load_file

from models.pose import openpose
from models.pose.openpose import to_openpose
from models.pose.pose_map import PRESETS, draw_pose, draw_poses
from models.pose.skeleton import INDEX, LEFT_HAND

IMAGES = ("rabbit", "waterfall_girl", "orange", "silver_hair", "empty", "two_subjects")
DRAWINGS = {  # file of the golden image -> the pose it was drawn from, our preset
    "moore": ("moore", "moore"),
    "musepose": ("musepose", "musepose"),
    "unianimate_without_face": ("unianimate", "unianimate"),
    "animate_x": ("unianimate", "animate-x"),
}
HEIGHT, WIDTH = 120, 96


def keypoints_of(pose: dict[str, NDArray[np.float64]], width_px: int, height_px: int) -> NDArray[np.float64]:
    """Our layout from a published pose of normalised coordinates, in which -1 is missing."""
    points = np.zeros((openpose.NUM_OPENPOSE, 3))
    body, subset = pose["candidate"], pose["subset"][0]
    points[openpose.BODY, :2], points[openpose.BODY, 2] = body[:18], subset[:18] >= 0
    for toes, of_foot in zip(range(18, len(subset)), ((18, 19), (21, 22)), strict=False):
        points[of_foot, :2], points[of_foot, 2] = body[toes], subset[toes] >= 0
    parts = np.concatenate([pose["faces"][0], pose["hands"][0], pose["hands"][1]])
    points[openpose.FACE.start :, :2] = parts
    points[openpose.FACE.start :, 2] = (parts != -1).all(axis=1)
    points[:, :2] *= width_px, height_px
    order = to_openpose(np.repeat(np.arange(133.0)[:, None], 3, axis=1))[:, 0].astype(int)
    keypoints = np.zeros((133, 3))
    keep = np.arange(openpose.NUM_OPENPOSE) != 1  # all but the neck
    keypoints[order[keep]] = points[keep]
    return keypoints


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("drawing", DRAWINGS)
def test_published_drawings(image: str, drawing: str) -> None:
    published = cv2.imread(str(optional_golden("dwpose") / f"{image}.{drawing}.png"))[..., ::-1]
    height_px, width_px = published.shape[:2]
    peer, name = DRAWINGS[drawing]
    golden = load_file(GOLDEN / "dwpose" / "outputs.safetensors")
    pose = {part: golden[f"{image}.{peer}.{part}"] for part in ("candidate", "subset", "faces", "hands")}
    drawn = draw_pose(
        keypoints_of(pose, width_px, height_px), height_px=height_px, width_px=width_px, preset=PRESETS[name]
    )
    # The golden files hold the channels as drawn; the peers of these two write and read them with red and blue swapped.
    if name in ("unianimate", "animate-x"):
        drawn = drawn[..., ::-1]
    np.testing.assert_array_equal(drawn, published)


@given(
    arrays(np.float32, (133, 2), elements=st.floats(-1e6, 1e6, width=32)),
    arrays(np.bool_, 133),
    st.sampled_from(sorted(PRESETS)),
)
def test_any_visible_points_can_be_drawn_and_missing_points_have_no_effect(
    xy: NDArray[np.float32], visible: NDArray[np.bool_], name: str
) -> None:
    keypoints = np.concatenate([xy, visible[:, None].astype(np.float32)], axis=1)
    drawn = draw_pose(keypoints, height_px=HEIGHT, width_px=WIDTH, preset=PRESETS[name])
    assert drawn.shape == (HEIGHT, WIDTH, 3)
    keypoints[~visible, :2] = np.nan
    again = draw_pose(keypoints, height_px=HEIGHT, width_px=WIDTH, preset=PRESETS[name])
    np.testing.assert_array_equal(drawn, again)
    keypoints[:, 2] = 0
    assert not draw_pose(keypoints, height_px=HEIGHT, width_px=WIDTH, preset=PRESETS[name]).any()


def standing() -> NDArray[np.float32]:
    """Every point inside the frame, no two alike."""
    places = np.random.default_rng(0).uniform(5, 90, (133, 2))
    return np.concatenate([places, np.ones((133, 1))], axis=1).astype(np.float32)


def only(*names: str) -> NDArray[np.float32]:
    keypoints = standing()
    keypoints[[k for name, k in INDEX.items() if name not in names], 2] = 0
    return keypoints


@pytest.mark.parametrize(
    ("name", "drawn_parts"),
    [
        ("moore", {"body", "eyes", "hands", "face"}),
        ("embedded", {"body", "eyes", "hands", "face"}),
        ("musepose", {"body", "eyes", "hands"}),
        ("unianimate", {"body", "eyes", "hands", "feet"}),
        ("animate-x", {"body", "eyes", "hands", "feet"}),
        ("x-dyna", {"body", "hands"}),
    ],
)
def test_presets_omit_parts_the_checkpoint_was_not_trained_on(name: str, drawn_parts: set[str]) -> None:
    parts = {
        "body": only("nose"),
        "eyes": only("left_eye", "right_ear"),
        "hands": only("left_index_2"),
        "face": only("face_30"),
        "feet": only("left_big_toe", "left_small_toe"),
    }
    drawn = {
        part: draw_pose(keypoints, height_px=HEIGHT, width_px=WIDTH, preset=PRESETS[name]).any()
        for part, keypoints in parts.items()
    }
    assert {part for part, any_pixel in drawn.items() if any_pixel} == drawn_parts


def test_swapped_channels_give_the_same_drawing() -> None:
    keypoints = only("left_shoulder", "left_elbow")
    drawn = draw_pose(keypoints, height_px=HEIGHT, width_px=WIDTH, preset=PRESETS["unianimate"])
    plain = draw_pose(keypoints, height_px=HEIGHT, width_px=WIDTH, preset=PRESETS["moore"])
    assert (drawn != plain).any()
    np.testing.assert_array_equal(drawn[..., ::-1], plain)


def test_a_clip_equals_its_frames() -> None:
    clip = np.stack([standing(), standing() + np.float32([3, 2, 0])])
    drawn = draw_poses(clip, height_px=HEIGHT, width_px=WIDTH, preset=PRESETS["moore"])
    for frame, keypoints in zip(drawn, clip, strict=True):
        np.testing.assert_array_equal(
            frame, draw_pose(keypoints, height_px=HEIGHT, width_px=WIDTH, preset=PRESETS["moore"])
        )


def test_refuses_visible_points_that_are_not_finite() -> None:
    keypoints = standing()
    keypoints[LEFT_HAND.start, 0] = np.inf
    with pytest.raises(ValueError, match="must have finite coordinates"):
        draw_pose(keypoints, height_px=HEIGHT, width_px=WIDTH, preset=PRESETS["moore"])
