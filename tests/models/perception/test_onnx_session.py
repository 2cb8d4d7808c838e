import logging
import sys
from pathlib import Path

import numpy as np
import pytest
from stand_in_onnx import save_detector, save_pose

from models.common.digest import CheckpointError
from models.finite import NotFiniteError
from models.perception.dwpose.detector import PersonDetector
from models.perception.dwpose.simcc import SimccPose
from models.perception.onnx_session import BATCH_IMAGES, OnnxNetwork, missing_cuda


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "dw-ll_ucoco_384.onnx"
    save_pose(path)
    return path


def test_graphs_with_fixed_and_dynamic_batch_size(file: Path, tmp_path: Path) -> None:
    save_pose(tmp_path / "any.onnx", batch="batch")
    for path, batch in ((file, 1), (tmp_path / "any.onnx", BATCH_IMAGES)):
        network = SimccPose(path).network
        assert network.provider == "CPUExecutionProvider"
        assert network.inputs.shape == (batch, 3, 384, 288)
        network.inputs[:] = np.random.default_rng(0).normal(size=network.inputs.shape)
        x, y = network.run(batch)
        assert x.shape == (batch, 133, 576)
        assert y.shape == (batch, 133, 768)


def test_outputs_that_are_not_finite_are_an_error(file: Path) -> None:
    network = SimccPose(file).network
    network.inputs[:] = np.nan
    with pytest.raises(NotFiniteError, match=r"output of dw-ll_ucoco_384.onnx: \d+ of \d+ values are NaN or infinite"):
        network.run(1)


def test_absent_damaged_and_foreign_files_give_a_one_line_error(file: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no ONNX file at .*absent\.onnx"):
        SimccPose(tmp_path / "absent.onnx")
    whole = file.read_bytes()
    for name, content in {
        "cut": whole[: len(whole) // 2],
        "shorter": whole[:-5],
        "empty": b"",
        "page": b"<!DOCTYPE html><html>404</html>",
        "noise": np.random.default_rng(0).bytes(5000),
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=f"cannot open .*{name} as ONNX") as error:
            SimccPose(tmp_path / name)
        assert "\n" not in str(error.value)


def test_a_file_of_another_network_is_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"another network: expected one float32 input .*3, 640, 640"):
        PersonDetector(file)
    save_pose(tmp_path / "body.onnx", num_keypoints=17)
    with pytest.raises(CheckpointError, match=r"another network: expected outputs \[\(1, 133, 576\), .*\(1, 17, 576\)"):
        SimccPose(tmp_path / "body.onnx")
    save_pose(tmp_path / "four.onnx", batch=4)
    with pytest.raises(CheckpointError, match="1 or any number"):
        SimccPose(tmp_path / "four.onnx")
    save_detector(tmp_path / "faces.onnx", num_classes=1)
    with pytest.raises(CheckpointError, match="another network: expected outputs"):
        PersonDetector(tmp_path / "faces.onnx")


def test_falling_back_to_the_cpu_logs_a_warning(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    complaint = missing_cuda()
    assert complaint is not None
    assert "onnxruntime-gpu" in complaint
    with caplog.at_level(logging.WARNING):
        assert SimccPose(file, device="cuda").network.provider == "CPUExecutionProvider"
    (record,) = caplog.records
    assert "dw-ll_ucoco_384.onnx RUNS ON THE CPU, although cuda was asked for" in record.message
    assert "onnxruntime-gpu" in record.message


def test_a_cuda_provider_that_does_not_start_logs_a_warning(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import onnxruntime

    opened = onnxruntime.InferenceSession
    requested_providers = []

    def falls_back(path: str, options: object, providers: list) -> onnxruntime.InferenceSession:
        requested_providers.append(providers)
        return opened(path, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", falls_back)
    assert missing_cuda() is None
    with caplog.at_level(logging.WARNING):
        SimccPose(file, device="cuda:1")
    assert requested_providers == [[("CUDAExecutionProvider", {"device_id": 1}), "CPUExecutionProvider"]]
    assert "RUNS ON THE CPU" in caplog.text
    assert "did not start" in caplog.text


def test_a_missing_onnxruntime_gives_a_one_line_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(CheckpointError, match=r"zoetrope\[onnx\]"):
        OnnxNetwork(file, input_shape=(3, 384, 288), output_shapes=[])
