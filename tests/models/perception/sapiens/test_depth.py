from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stand_in_networks import PyramidPose, RedDepth, save_torchscript

from models.common.digest import CheckpointError
from models.perception.sapiens.depth import SapiensDepth


def test_depth_keeps_the_networks_convention(tmp_path: Path) -> None:
    save_torchscript(RedDepth(), tmp_path / "depth.pt2")
    frames = np.zeros((11, 40, 60, 3), np.uint8)
    frames[..., 0] = np.linspace(0, 250, 60).astype(np.uint8)
    frames[5:, ..., 0] //= 2
    depth = SapiensDepth(tmp_path / "depth.pt2", allow_torchscript=True, input_px=(64, 48)).depth(frames)
    assert depth.shape == (11, 40, 60)
    assert depth.dtype == np.float32
    assert np.abs(depth - frames[..., 0] / 255).max() < 0.03
    assert depth[0, 0, 0] < depth[0, 0, -1]


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    save_torchscript(PyramidPose(17), tmp_path / "pose.pt2")
    depth = SapiensDepth(tmp_path / "pose.pt2", allow_torchscript=True, input_px=(64, 48))
    with pytest.raises(CheckpointError, match="expected depth"):
        depth.depth(np.zeros((1, 8, 8, 3), np.uint8))


@pytest.mark.weights
def test_published_weights_place_the_person_before_the_background(shared_media: Path) -> None:
    if not (file := os.environ.get("ZOETROPE_TEST_SAPIENS_DEPTH")):
        pytest.skip("set ZOETROPE_TEST_SAPIENS_DEPTH to a sapiens_*_render_people_epoch_*_torchscript.pt2")
    picture = Image.open(shared_media / "reference" / "moore_5.png").convert("RGB")
    depth = SapiensDepth(Path(file), allow_torchscript=True).depth(np.asarray(picture)[None])[0]
    height, width = depth.shape
    # She stands in the middle, and above her is nothing.
    middle = depth[height // 3 : 2 * height // 3, 2 * width // 5 : 3 * width // 5]
    assert np.median(middle) < np.median(depth[: height // 8])
