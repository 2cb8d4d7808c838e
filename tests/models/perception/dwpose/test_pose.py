import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.numpy import load_file
from stand_in_onnx import save_detector, save_pose

from models.perception.dwpose.pose import DwposePose
from models.perception.people import MAX_POSED
from models.pose.pose_map import PRESETS, draw_pose

SIDE = 320
Figure = tuple[int, int, int]
"""Column and row of the square's first pixel, and how green it is: how large a person."""


def scene(figures_T: list[list[Figure]]) -> np.ndarray:
    """Frames of the figures that the stand-ins see: 16 x 16 pixels, at best at multiples of 16."""
    frames = np.zeros((len(figures_T), SIDE, SIDE, 3), np.uint8)
    for frame, figures in zip(frames, figures_T, strict=True):
        for x, y, green in figures:
            frame[y : y + 16, x : x + 16] = 255, green, 0
            frame[y + 8, x + 8, 2] = 255
    return frames


def test_the_character_is_the_largest_person_throughout(dwpose: DwposePose) -> None:
    small_first = [[(16, 160, 40), (192 - 16 * (t // 4), 160, 200)] for t in range(6)]
    small_last = [figures[::-1] for figures in small_first]
    result = dwpose.people(scene(small_first + small_last))
    assert result.num_people.tolist() == [2] * 12
    assert result.keypoints.shape == (12, 133, 3)
    for keypoints, figures in zip(result.keypoints, small_first + small_last, strict=True):
        x, y, _ = max(figures, key=lambda figure: figure[2])
        np.testing.assert_allclose(keypoints[0, :2], (x + 8, y + 8), atol=1)
    np.testing.assert_array_equal(result.keypoints, dwpose.keypoints(scene(small_first + small_last)))


def test_frames_without_a_person_have_no_keypoints(dwpose: DwposePose) -> None:
    clip = scene([[(160, 160, 90)], [], [], [(160, 160, 90)]])
    clip[2] = 255  # white is red too: but of persons this is one, as large as the picture
    clip[2, ..., 0] = 0
    result = dwpose.people(clip)
    assert result.num_people.tolist() == [1, 0, 0, 1]
    assert not result.keypoints[1:3].any()
    assert (result.keypoints[[0, 3], :, 2] > 0.8).all()
    black = dwpose.people(np.zeros((3, SIDE, SIDE, 3), np.uint8))
    assert not black.keypoints.any()
    assert not black.num_people.any()


def test_in_a_crowd_all_are_counted_and_the_largest_get_keypoints(dwpose: DwposePose) -> None:
    crowd = [(16 + 64 * (n % 5), 32 + 80 * (n // 5), 60 if n < 3 else 0) for n in range(15)]
    assert dwpose.people(scene([crowd])).num_people.tolist() == [15]
    (posed,) = dwpose.persons(scene([crowd]))
    assert len(posed.boxes) == MAX_POSED
    np.testing.assert_allclose(
        posed.keypoints[:3, 0, :2], [(x + 8, y + 8) for x, y, _ in crowd[:3]], atol=1.5
    )  # fmt: skip


def test_graphs_of_any_batch_size_give_the_same_result(dwpose: DwposePose, tmp_path: Path) -> None:
    save_detector(tmp_path / "detector.onnx", batch="batch")
    save_pose(tmp_path / "pose.onnx", batch="batch")
    batched = DwposePose(tmp_path / "detector.onnx", tmp_path / "pose.onnx")
    assert len(batched.detector.network.inputs) > 1
    clip = scene([[(16 * (t % 15), 160, 40)] * (t % 3 > 0) + [(240, 80, 200)] for t in range(19)])
    one, many = dwpose.people(clip), batched.people(clip)
    np.testing.assert_array_equal(one.num_people, many.num_people)
    np.testing.assert_allclose(one.keypoints, many.keypoints, atol=1e-4)


GOLDEN_IMAGES = ("rabbit", "waterfall_girl", "orange", "silver_hair", "two_subjects", "empty")


@pytest.mark.parametrize("channels", ["bgr", "rgb"])
@pytest.mark.parametrize("image", GOLDEN_IMAGES)
def test_results_match_the_published_code(golden_dwpose: Path, image: str, channels: str) -> None:
    golden = load_file(golden_dwpose / "outputs.safetensors")
    pose = DwposePose(golden_dwpose / "yolox_l.onnx", golden_dwpose / "dw-ll_ucoco_384.onnx")
    picture = cv2.imread(str(golden_dwpose / f"{image}.png"))
    # `rgb`: the reference was computed with red and blue swapped, and so is this result.
    frames = (picture[..., ::-1] if channels == "bgr" else picture)[None].copy()
    (boxes,) = pose.detector.boxes(frames)
    np.testing.assert_allclose(boxes[:, :4], golden[f"{image}.{channels}.boxes"], atol=1e-3)
    if not len(boxes):  # the published code then uses the whole picture
        boxes = np.array([[0, 0, picture.shape[1], picture.shape[0], 1]], np.float32)
    result = pose.pose.keypoints(frames, np.zeros(len(boxes), np.int64), boxes[:, :4])
    np.testing.assert_allclose(result[..., :2], golden[f"{image}.{channels}.keypoints"], atol=1e-3)
    np.testing.assert_allclose(result[..., 2], golden[f"{image}.{channels}.scores"].clip(0), atol=1e-4)


@pytest.mark.parametrize("image", [name for name in GOLDEN_IMAGES if name != "empty"])
def test_pose_maps_match_the_published_code(golden_dwpose: Path, image: str) -> None:
    pose = DwposePose(golden_dwpose / "yolox_l.onnx", golden_dwpose / "dw-ll_ucoco_384.onnx")
    picture = cv2.imread(str(golden_dwpose / f"{image}.png"))[..., ::-1]
    height_px, width_px = picture.shape[:2]
    first = pose.persons(picture[None].copy())[0].keypoints[0]
    drawn = draw_pose(first, height_px=height_px, width_px=width_px, preset=PRESETS["animate-x"])
    published = cv2.imread(str(golden_dwpose / f"{image}.animate_x.png"))
    np.testing.assert_array_equal(drawn, published)


@pytest.mark.weights
def test_published_weights_detect_a_person(shared_media: Path) -> None:
    if not (folder := os.environ.get("ZOETROPE_TEST_DWPOSE")):
        pytest.skip("set ZOETROPE_TEST_DWPOSE to the folder of yolox_l.onnx and dw-ll_ucoco_384.onnx")
    pose = DwposePose(Path(folder) / "yolox_l.onnx", Path(folder) / "dw-ll_ucoco_384.onnx")
    picture = cv2.imread(str(shared_media / "reference" / "moore_5.png"))[..., ::-1]
    result = pose.people(picture[None].copy())
    assert result.num_people[0] >= 1
    assert result.keypoints[0, :17, 2].mean() > 0.5
