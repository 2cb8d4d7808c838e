from __future__ import annotations

from pathlib import Path

import pytest
from golden import optional_golden
from stand_in_onnx import save_detector, save_pose

from models.perception.dwpose.pose import DwposePose


@pytest.fixture(scope="session")
def dwpose(tmp_path_factory: pytest.TempPathFactory) -> DwposePose:
    """DWPose on stand-ins that take one image at a time, as published."""
    folder = tmp_path_factory.mktemp("dwpose")
    save_detector(folder / "yolox_l.onnx")
    save_pose(folder / "dw-ll_ucoco_384.onnx")
    return DwposePose(folder / "yolox_l.onnx", folder / "dw-ll_ucoco_384.onnx")


@pytest.fixture(scope="session")
def golden_dwpose() -> Path:
    """Pictures, small ONNX files and the published code's results on them; optional data."""
    return optional_golden("dwpose")
