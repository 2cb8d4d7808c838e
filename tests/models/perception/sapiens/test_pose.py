from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from stand_in_networks import PyramidPose, RedDepth, save_sapiens2, save_torchscript

from models.common.digest import CheckpointError
from models.perception.sapiens.pose import BATCH_FRAMES, Sapiens2Pose, SapiensPose
from models.pose.skeleton import FACE

SMALL = (128, 96)


def spots(where: list[tuple[float, float]], *, height: int = 90, width: int = 160) -> np.ndarray:
    """Frames with a red Gaussian at one position each."""
    rows, columns = np.mgrid[:height, :width]
    bells = [np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 5.0**2)) for x, y in where]
    frames = np.zeros((len(where), height, width, 3), np.uint8)
    frames[..., 0] = np.round(255 * np.stack(bells))
    return frames


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sapiens") / "sapiens_0.3b_coco_wholebody_best_coco_wholebody_AP_620_torchscript.pt2"
    save_torchscript(PyramidPose(133), path)
    return path


def test_keypoints_are_at_the_drawn_positions(script: Path) -> None:
    where = [(20.0 + 9.3 * t, 70.0 - 4.1 * t) for t in range(BATCH_FRAMES + 3)]
    keypoints_TK3 = SapiensPose(script, allow_torchscript=True, input_px=SMALL).keypoints(spots(where))
    assert keypoints_TK3.shape == (len(where), 133, 3)
    assert keypoints_TK3.dtype == np.float32
    assert np.abs(keypoints_TK3[:, :, :2] - np.array(where)[:, None]).max() < 0.5
    # The heatmap's pixels are nearly two deviations of a bell wide, so its maximum may lie well below the bell's.
    assert (keypoints_TK3[:, :, 2] > 0.55).all()
    assert keypoints_TK3[..., 2].max() <= 1


def test_a_box_improves_the_accuracy(script: Path) -> None:
    where = [(60.0, 40.0), (100.0, 50.0)]
    boxes = np.array([[x - 20, y - 30, x + 20, y + 30] for x, y in where], np.float32)
    keypoints_TK3 = SapiensPose(script, allow_torchscript=True, input_px=SMALL).keypoints(spots(where), boxes)
    assert np.abs(keypoints_TK3[:, :, :2] - np.array(where)[:, None]).max() < 0.25
    assert (keypoints_TK3[:, :, 2] > 0.9).all()


def test_frames_without_a_box_have_no_keypoints(script: Path) -> None:
    where = [(60.0, 40.0)] * (BATCH_FRAMES + 2)
    boxes = np.full((len(where), 4), np.nan, np.float32)
    boxes[1::2] = (40, 10, 80, 70)
    keypoints_TK3 = SapiensPose(script, allow_torchscript=True, input_px=SMALL).keypoints(spots(where), boxes)
    assert not keypoints_TK3[::2].any()
    assert (keypoints_TK3[1::2, :, 2] > 0.9).all()


@pytest.mark.parametrize("num", [17, 308])
def test_every_published_layout_is_accepted(tmp_path: Path, num: int) -> None:
    save_torchscript(PyramidPose(num), tmp_path / "pose.pt2")
    keypoints_TK3 = SapiensPose(tmp_path / "pose.pt2", allow_torchscript=True, input_px=SMALL).keypoints(
        spots([(50, 40)])
    )
    assert (keypoints_TK3[0, :17, 2] > 0.55).all()
    assert not keypoints_TK3[0, FACE].any()


def test_a_black_clip_has_no_confident_keypoint(script: Path) -> None:
    keypoints_TK3 = SapiensPose(script, allow_torchscript=True, input_px=SMALL).keypoints(
        np.zeros((2, 64, 48, 3), np.uint8)
    )
    assert np.isfinite(keypoints_TK3).all()
    assert keypoints_TK3[..., 2].max() < 0.01


def test_torchscript_is_loaded_only_when_allowed(script: Path) -> None:
    with pytest.raises(CheckpointError, match="--allow-torchscript"):
        SapiensPose(script, allow_torchscript=False)


def test_damaged_files_give_a_one_line_error(script: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no TorchScript file"):
        SapiensPose(tmp_path / "absent.pt2", allow_torchscript=True)
    cut = tmp_path / "cut.pt2"
    cut.write_bytes(script.read_bytes()[:-200])
    with pytest.raises(CheckpointError, match="damaged or of another format"):
        SapiensPose(cut, allow_torchscript=True)


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    save_torchscript(RedDepth(), tmp_path / "depth.pt2")
    pose = SapiensPose(tmp_path / "depth.pt2", allow_torchscript=True, input_px=SMALL)
    with pytest.raises(CheckpointError, match="expected heatmaps"):
        pose.keypoints(spots([(5, 5)]))


def test_sapiens_2_is_loaded_from_its_folder(tmp_path: Path) -> None:
    save_sapiens2(tmp_path)
    keypoints_TK3 = Sapiens2Pose(tmp_path).keypoints(
        np.random.default_rng(0).integers(0, 256, (3, 90, 60, 3), dtype=np.uint8)
    )
    assert keypoints_TK3.shape == (3, 133, 3)
    assert np.isfinite(keypoints_TK3).all()
    assert keypoints_TK3[:, :, :2].std() > 1
    assert not keypoints_TK3[:, FACE].any()


def test_sapiens_2_of_another_order_or_with_parts_missing_is_refused(tmp_path: Path) -> None:
    save_sapiens2(tmp_path / "order", flip_pairs=[[1, 2], [3, 4]])
    with pytest.raises(CheckpointError, match="orders its keypoints otherwise"):
        Sapiens2Pose(tmp_path / "order")
    save_sapiens2(tmp_path / "part")
    from safetensors.torch import load_file, save_file

    weights = tmp_path / "part" / "model.safetensors"
    tensors = load_file(weights)
    # The file's names are the publisher's, the message's transformers'.
    del tensors["backbone.blocks.0.attn.gamma.weight"]
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"1 missing \(model.model.layer.0.layer_scale1.lambda1\)"):
        Sapiens2Pose(tmp_path / "part")


@pytest.mark.weights
@pytest.mark.parametrize("name", ["ZOETROPE_TEST_SAPIENS_POSE", "ZOETROPE_TEST_SAPIENS2_POSE"])
def test_published_weights_detect_a_person(name: str, shared_media: Path) -> None:
    import cv2

    if not os.environ.get(name):
        pytest.skip(f"set {name} to the published file or folder")
    path = Path(os.environ[name])
    pose = SapiensPose(path, allow_torchscript=True) if path.is_file() else Sapiens2Pose(path)
    picture = cv2.imread(str(shared_media / "reference" / "moore_5.png"))[..., ::-1]
    keypoints_TK3 = pose.keypoints(np.ascontiguousarray(picture)[None])[0]
    assert (keypoints_TK3[:17, 2] > 0.3).sum() >= 12
