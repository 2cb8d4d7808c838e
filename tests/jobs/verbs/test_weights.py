from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from jobs.cli.main import main
from models.catalogue import CATALOGUE, entry
from models.systems import model_names
from models.weights.resolve import place


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "no-cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.delenv("ZOETROPE_WEIGHTS", raising=False)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["zoetrope", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def put(folder: Path, name: str, content: bytes) -> Path:
    path = place(entry(name), entry(name).files[0], folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_list_has_licences_and_presence(run: Any, tmp_path: Path) -> None:
    put(tmp_path, "dwpose-pose", b"onnx")
    code, out, _ = run("weights", "list", "--weights", str(tmp_path))
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert lines.keys() == CATALOGUE.keys()
    assert "here" in lines["dwpose-pose"].split()
    assert "here" not in lines["dwpose-detector"].split()
    assert "not for commerce" in lines["sapiens-depth-1b"]
    code, out, _ = run("weights", "list", "--json")
    described = {one["name"]: one for one in json.loads(out)["weights"]}
    assert described["embedded-figure"]["here"]
    assert described["dwpose-pose"]["files"][0]["sha256"].startswith("724f4ff2")


def test_where_prints_the_path_of_missing_files(run: Any, tmp_path: Path) -> None:
    path = put(tmp_path, "dwpose-pose", b"onnx")
    assert run("weights", "where", "dwpose-pose", "--weights", str(tmp_path)) == (0, f"{path}\n", "")
    code, out, _ = run("weights", "where", "dwpose-detector", "--weights", str(tmp_path))
    assert code == 1
    assert out == (
        f"missing: {tmp_path}/yzd-v/DWPose/yolox_l.onnx from "
        "https://huggingface.co/yzd-v/DWPose/resolve/main/yolox_l.onnx\n"
    )
    code, _, err = run("weights", "where", "dwpse")
    assert (code, err) == (2, f"error: no weights are named 'dwpse'; `zoetrope weights list` shows {len(CATALOGUE)}\n")


def test_verify_distinguishes_valid_wrong_and_missing_files(run: Any, tmp_path: Path) -> None:
    put(tmp_path, "sapiens-depth-1b", b"PK\x03\x04 cut")
    wrong = put(tmp_path, "dwpose-pose", b"another network")
    code, out, err = run("weights", "verify", "--weights", str(tmp_path), "--json")
    states = {one["name"]: one["state"] for one in json.loads(out)["files"]}
    assert code == 1
    assert states["embedded-figure"] == "whole"
    assert states["dwpose-pose"] == states["sapiens-depth-1b"] == "wrong"
    assert states["sam2.1-hiera-large"] == "missing"
    assert f"error: {wrong} is not the published dw-ll_ucoco_384.onnx" in err
    assert "is truncated, or not a PyTorch file" in err
    wrong.unlink()
    assert run("weights", "verify", "embedded-object")[0] == 0
    assert run("weights", "verify", "dwpose-pose", "--weights", str(tmp_path))[0] == 1


def test_fetch_without_network_is_a_one_line_error(run: Any, tmp_path: Path) -> None:
    code, _, err = run("weights", "fetch", "dwpose-pose", "--weights", str(tmp_path))
    assert code == 2
    assert err.startswith("error: cannot download https://huggingface.co/yzd-v/DWPose")
    assert err.count("\n") == 1
    code, _, err = run("weights", "fetch", "sapiens-depth-1b", "--weights", str(tmp_path))
    assert (code, "--allow-torchscript" in err) == (2, True)


def test_doctor_lists_the_needs_of_each_job(run: Any, tmp_path: Path) -> None:
    for name in ("dwpose-pose", "dwpose-detector"):
        put(tmp_path, name, b"onnx")
    code, out, _ = run("doctor", "--weights", str(tmp_path), "--json")
    assert code == 0
    summary = json.loads(out)
    jobs = {job["job"]: job["missing"] for job in summary["jobs"]}
    assert jobs["prepare, preset embedded"] == []
    assert jobs["animate, animate-anyone-puppets"] == jobs["animate, animate-x-puppets"] == []
    assert jobs["animate, animate-anyone"] == ["moore-animate-anyone", "sd-vae-ft-mse", "clip-vit-l-image-variations"]
    assert {name.partition(", ")[2] for name in jobs if name.startswith("animate, ")} == set(model_names())
    assert jobs["prepare, preset dwpose-sam2"] == ["depth-anything-v2-small", "sam2.1-hiera-large"]
    assert "--allow-torchscript" in jobs["prepare, preset sapiens-sam2"]
    assert jobs["evaluate, fid"] == ["fid-inception"]
    assert jobs["evaluate, lpips"] == ["lpips-vgg16", "lpips-heads"]
    assert "evaluate, pixels" not in jobs  # needs no weights
    assert summary["machine"]["decoders"]["h264"]
    code, out, _ = run("doctor", "--allow-torchscript")
    assert "--allow-torchscript" not in out
    assert "prepare, preset embedded: ready" in out


def test_doctor_warns_of_a_gpu_without_onnxruntime_support(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    from jobs.verbs import doctor

    machine = doctor.describe_machine()
    monkeypatch.setattr(doctor, "describe_machine", lambda: {**machine, "gpus": [{"name": "A GPU", "memory_gib": 80}]})
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    _, out, err = run("doctor")
    assert "GPU: A GPU (80 GiB)" in out
    assert "WARNING: DWPOSE WOULD RUN ON THE CPU" in err
    assert "onnxruntime-gpu" in err
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    assert run("doctor")[2] == ""
