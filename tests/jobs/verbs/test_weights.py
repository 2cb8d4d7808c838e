from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from small_jobs import PUPPETS

from jobs.cli.main import main
from models.catalogue import CATALOGUE, entry
from models.systems import find_model, model_names
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


def put(folder: Path, name: str, content: bytes, *, whole: bool = False) -> Path:
    """Write the first file of an entry. `whole`: of the published size, the rest as a hole."""
    file = entry(name).files[0]
    path = place(entry(name), file, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if whole:
        os.truncate(path, file.size_bytes or 0)
    return path


def test_list_has_licences_and_presence(run: Any, tmp_path: Path) -> None:
    put(tmp_path, "dwpose-pose", b"onnx", whole=True)
    code, out, _ = run("weights", "list", "--weights", str(tmp_path))
    assert code == 0
    listed, forbidden = out.splitlines()[: len(CATALOGUE)], out.splitlines()[len(CATALOGUE) :]
    lines = {line.split()[0]: line for line in listed}
    assert lines.keys() == CATALOGUE.keys()
    assert "SAM License forbids: military use and what falls under ITAR, nuclear industry" in "\n".join(forbidden)
    assert all(" forbids: " in line for line in forbidden)
    assert "here" in lines["dwpose-pose"].split()
    assert "here" not in lines["dwpose-detector"].split()
    assert "not for commerce" in lines["sapiens-depth-1b"]
    code, out, _ = run("weights", "list", "--json")
    described = {one["name"]: one for one in json.loads(out)["weights"]}
    assert described["embedded-figure"]["here"]
    assert described["embedded-figure"]["forbidden_uses"] == []
    assert "biometric processing" in described["sapiens2-pose-1b"]["forbidden_uses"]
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
        put(tmp_path, name, b"onnx", whole=True)
    code, out, _ = run("doctor", "--weights", str(tmp_path), "--json")
    assert code == 0
    summary = json.loads(out)
    jobs = {job["job"]: job["missing"] for job in summary["jobs"]}
    assert jobs["prepare, preset puppets"] == []
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
    assert "prepare, preset puppets: ready" in out


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


def test_a_stub_is_incomplete(run: Any, tmp_path: Path) -> None:
    stubs = {"dwpose-pose": b"\x08" * 1000, "sapiens-depth-1b": b"PK\x03\x04" + bytes(996)}
    for name, content in stubs.items():
        put(tmp_path, name, content)
    _, out, _ = run("weights", "list", "--weights", str(tmp_path))
    lines = {line.split()[0]: line.split() for line in out.splitlines()}
    assert all("incomplete" in lines[name] for name in stubs)
    assert "-" in lines["dwpose-detector"]
    _, out, _ = run("weights", "list", "--weights", str(tmp_path), "--json")
    described = {one["name"]: (one["here"], one["state"]) for one in json.loads(out)["weights"]}
    assert {described[name] for name in stubs} == {(False, "incomplete")}


def test_a_job_names_all_missing_weights_at_once(run: Any, tmp_path: Path) -> None:
    """Before anything is read, locked or started."""
    put(tmp_path, "dwpose-pose", b"")
    job = ["prepare", str(tmp_path / "clips"), "--out", str(tmp_path / "out"), "--preset", "dwpose-sam2"]
    code, _, err = run(*job, "--weights", str(tmp_path))
    assert (code, err.count("\n")) == (2, 1)
    assert "dw-ll_ucoco_384.onnx is empty; delete it, and fetch dwpose-pose again" in err
    wanted = "dwpose-detector depth-anything-v2-small sam2.1-hiera-large"
    assert f"`zoetrope weights fetch {wanted} --weights {tmp_path}` downloads them" in err
    code, _, err = run(*(argument.replace("dwpose", "sapiens") for argument in job))
    assert code == 2
    assert "--allow-torchscript" in err
    assert not (tmp_path / "out").exists()


def test_without_a_preset_the_weights_of_people_are_needed(run: Any, tmp_path: Path) -> None:
    """One line says which, what brings them, and what videos of puppets need in their place."""
    prepare = ["prepare", str(tmp_path / "clips"), "--out", str(tmp_path / "out")]
    one = ["--reference", str(tmp_path / "a.png"), "--driving", str(tmp_path / "b.mp4")]
    animate = ["animate", *one, "--out", str(tmp_path / "out")]
    for job in (prepare, animate):
        code, _, err = run(*job)
        assert (code, err.count("\n")) == (2, 1)
        assert "this job needs the weights people (`zoetrope weights fetch people` downloads them, 16 MB, " in err
        assert "--preset puppets" in err
        assert "weights people" not in run(*job, *PUPPETS, "--dry-run")[2]
    code, _, err = run(*prepare, "--weights", str(tmp_path / "w"))
    assert f"`zoetrope weights fetch people --weights {tmp_path}/w`" in err
    assert not (tmp_path / "out").exists()


def test_a_model_is_known_and_has_its_weights_before_anything_starts(run: Any, tmp_path: Path) -> None:
    one = ["--reference", str(tmp_path / "a.png"), "--driving", str(tmp_path / "b.mp4"), "--out", str(tmp_path / "out")]
    code, _, err = run("animate", *one, "--model", "animate-anyon")
    assert (code, err) == (2, "error: no model is called 'animate-anyon'; did you mean animate-anyone?\n")
    assert run("pair", "a", "b", "--out", "r.parquet", "--model", "animate-anyon")[::2] == (code, err)
    code, _, err = run("animate", *one, "--model", "animate-anyone")
    assert (code, err.count("\n")) == (2, 1)
    assert all(weights.name in err for weights in find_model("animate-anyone").weights)
    assert not (tmp_path / "out").exists()


def test_a_table_without_a_model_that_runs_starts_nothing(run: Any, tmp_path: Path) -> None:
    requests = tmp_path / "requests.csv"
    requests.write_text("request_id,reference_uri,driving_uri,model\na,a.png,b.mp4,animate-y\nb,a.png,b.mp4,toy\n")
    code, _, err = run("animate", str(requests), "--out", str(tmp_path / "out"), *PUPPETS)
    assert (code, err.count("\n")) == (2, 1)
    assert "no request can run: no model is called 'animate-y'; did you mean animate-x" in err
    assert not (tmp_path / "out").exists()
