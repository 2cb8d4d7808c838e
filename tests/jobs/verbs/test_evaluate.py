"""`zoetrope evaluate` from the command line."""

from __future__ import annotations

import csv
import json
import os
import posixpath
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.dataset
import pytest
from compared_videos import moving_frames, worse, write_video
from dataset_rows import plain_rows
from small_jobs import PUPPETS, tracking_uri

from jobs.cli.main import main
from jobs.engine import config as configuration
from jobs.engine.spec import Options
from jobs.verbs import evaluate as verb
from jobs.verbs.evaluate import table_metrics
from pipelines.evaluation.steps import networks_of
from pipelines.evaluation.tables import MeasuredValue, ModelTable

Run = Callable[..., tuple[int, str, str]]
SMALL = (*PUPPETS, "--set", "workers.default.cpus=0.5", "--set", "workers.default.actors=1")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs `zoetrope …` in this process; returns exit code, stdout and stderr."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri(tmp_path / "mlflow.db"))

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["zoetrope", *(str(argument) for argument in arguments)])
        capsys.readouterr()  # what MLflow says of a new database
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def rows(dataset: Path) -> dict[str, dict[str, Any]]:
    table = pyarrow.dataset.dataset(dataset).to_table()
    return {row["animation_id"]: row for row in plain_rows(table)}


def ran(dataset: Path) -> dict[str, set[str]]:
    """Stages that the last job ran, by row."""
    return {name: set(row["seconds_by_stage"]) for name, row in rows(dataset).items()}


def table(dataset: Path) -> dict[tuple[str, str], dict[str, str]]:
    lines = csv.DictReader((dataset / "_tables" / "measures.csv").read_text().splitlines())
    return {(line["model"], line["measure"]): line for line in lines}


def write_pairs(folder: Path, entries: dict[str, tuple[str, str]], **columns: dict[str, str]) -> Path:
    path = folder / "pairs.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["animation_id", "animation_uri", "truth_uri", *columns])
        for name, uris in entries.items():
            writer.writerow([name, *uris, *(values.get(name, "") for values in columns.values())])
    return path


def write_odd(path: Path, frames: np.ndarray) -> None:
    """A video with odd sides, which 4:2:0 does not allow."""
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=8)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv444p"
        for frame in frames:
            target.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        target.mux(stream.encode(None))


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    truth = moving_frames(1)
    write_video(folder / "truth.mp4", truth)
    write_video(folder / "an  ünusual 'name'.mp4", worse(truth))
    write_video(folder / "small.mp4", worse(truth[:, :16, :24]))
    write_video(folder / "one.mp4", truth[:1])
    write_video(folder / "black.mp4", np.zeros_like(truth))
    write_video(folder / "short.mp4", truth[:4])
    write_odd(folder / "odd.mkv", moving_frames(1, size_px=(31, 45)))
    (folder / "broken.mp4").write_bytes((folder / "truth.mp4").read_bytes()[:600])
    (folder / "empty.mp4").write_bytes(b"")
    return folder


HOSTILE = {
    "good": ("an  ünusual 'name'.mp4", "truth.mp4"),
    "identical": ("truth.mp4", "truth.mp4"),
    "resized": ("small.mp4", "truth.mp4"),
    "odd": ("odd.mkv", "truth.mp4"),
    "odd-truth": ("truth.mp4", "odd.mkv"),
    "one": ("one.mp4", "one.mp4"),
    "black": ("black.mp4", "black.mp4"),
    "short": ("truth.mp4", "short.mp4"),
    "no-truth": ("truth.mp4", "absent.mp4"),
    "no-animation": ("absent.mp4", "truth.mp4"),
    "broken": ("broken.mp4", "truth.mp4"),
    "empty": ("truth.mp4", "empty.mp4"),
    "up": ("truth.mp4", "../secret.mp4"),
    "web": ("truth.mp4", "https://example.org/a.mp4"),
}
FAILED = {
    "short": "FrameCount",
    "no-truth": "NotFound",
    "no-animation": "NotFound",
    "up": "NotAllowed",
    "web": "NotAllowed",
}


@pytest.mark.slow
def test_every_pair_has_measures_or_an_outcome(ray_cluster: None, run: Run, hostile: Path, tmp_path: Path) -> None:
    models = dict.fromkeys(HOSTILE, "m 1") | {"black": "m/2"}
    pairs = write_pairs(hostile, HOSTILE, model=models)
    out = tmp_path / "evaluation"
    code, text, err = run(
        *("evaluate", "--pairs", pairs, "--out", out, "--max-failed", "100%", "--json", *SMALL),
        *("--measure", "pixels", "--measure", "flicker", "--measure", "fvd", "--measure", "dtfvd"),
    )
    summary = json.loads(text)
    assert (code, summary["rows"], summary["ok"], summary["failed"]) == (0, 14, 7, 7)
    done = rows(out)
    failed = {name: row["reason"] for name, row in done.items() if row["status"] == "failed"}
    assert failed.items() >= FAILED.items()
    assert failed.keys() == FAILED.keys() | {"broken", "empty"}
    assert str(hostile / "absent.mp4") in done["no-truth"]["message"]
    for name in ("identical", "one", "black"):
        assert (done[name]["psnr_db"], done[name]["l1"]) == (100.0, 0.0)
    assert (done["one"]["flicker"], done["one"]["num_frames"]) == (None, 1)
    assert done["black"]["flicker"] == 0.0
    assert done["resized"]["size_rule"] == "animation resized from 24x16"
    assert (done["odd"]["compared_width_px"], done["odd-truth"]["compared_width_px"]) == (48, 45)
    # One notice names what cannot be computed for lack of weights, and no stage runs for it alone.
    lacked = "FVD (i3d-kinetics-400); DTFVD, FG-DTFVD, BG-DTFVD (i3d-dtdb)"
    assert err.count(f"NOT COMPUTED for lack of weights: {lacked}. ") == 1
    assert ran(out)["good"] == {"frames", "pixels", "temporal"}

    lines = table(out)
    psnr = lines["m 1", "psnr_db"]
    assert (psnr["ok"], psnr["failed"], psnr["n"]) == ("6", "7", "6")
    assert float(psnr["ci_low"]) < float(psnr["value"]) < float(psnr["ci_high"])
    assert float(lines["m 1", "flicker"]["truth_value"]) > 0
    assert lines["m/2", "psnr_db"]["value"] == "100.0"
    assert "PSNR*" in (out / "_report" / "report.html").read_text()
    assert logged(tmp_path)["m_1/default/psnr_db"] == pytest.approx(float(psnr["value"]))


def logged(folder: Path) -> dict[str, float]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri(folder / "mlflow.db"))
    (last, *_) = client.search_runs([client.get_experiment_by_name("zoetrope").experiment_id])
    return dict(last.data.metrics)


@pytest.mark.slow
def test_a_new_measure_computes_only_itself(ray_cluster: None, run: Run, tmp_path: Path) -> None:
    truth = moving_frames(1)
    write_video(tmp_path / "truth.mp4", truth)
    for name in ("a", "b"):
        write_video(tmp_path / f"{name}.mp4", worse(truth, levels=30 if name == "a" else 20))
    pairs = write_pairs(tmp_path, {name: (f"{name}.mp4", "truth.mp4") for name in ("a", "b")})
    out = tmp_path / "evaluation"
    command = ("evaluate", "--pairs", pairs, "--out", out, *SMALL)
    assert run(*command, "--measure", "psnr_db")[0] == 0
    assert list(ran(out).values()) == 2 * [{"frames", "pixels"}]
    before = rows(out)

    assert run(*command, "--measure", "psnr_db", "--measure", "flicker")[0] == 0
    assert list(ran(out).values()) == 2 * [{"frames", "temporal"}]
    after = rows(out)
    assert [after[name]["psnr_db"] for name in "ab"] == [before[name]["psnr_db"] for name in "ab"]
    assert after["a"]["flicker"] > after["a"]["flicker_truth"] > 0
    # Fewer measures run nothing.
    assert run(*command, "--measure", "flicker")[0] == 0
    assert list(ran(out).values()) == 2 * [set()]

    # Another model of the same rows changes the table alone.
    write_pairs(tmp_path, {name: (f"{name}.mp4", "truth.mp4") for name in ("a", "b")}, model={"a": "x", "b": "y"})
    code, text, _ = run(*command, "--measure", "flicker", "--json")
    assert (code, json.loads(text)["rows_run"]) == (0, 0)
    assert {model for model, _ in table(out)} == {"x", "y"}

    # Another file of the same name is measured again.
    write_video(tmp_path / "b.mp4", worse(truth, levels=5))
    code, text, _ = run(*command, "--measure", "flicker", "--json")
    assert json.loads(text)["rows_run"] == 1
    (tmp_path / "truth.mp4").unlink()
    assert run(*command, "--measure", "flicker")[0] == 1
    assert {row["reason"] for row in rows(out).values()} == {"NotFound"}

    # The jobs on datasets know this one.
    write_video(tmp_path / "truth.mp4", truth)
    assert run("compact", out)[0] == run("report", out)[0] == 0
    code, text, _ = run("retry", out, "--json")
    assert (code, json.loads(text)["ok"]) == (0, 2)


@pytest.mark.slow
def test_a_killed_job_goes_on_where_it_was(ray_cluster: None, run: Run, tmp_path: Path) -> None:
    truth = moving_frames(1, num_frames=16)
    write_video(tmp_path / "truth.mp4", truth)
    entries = {}
    for index in range(24):
        write_video(tmp_path / f"{index}.mp4", worse(truth, seed=index))
        entries[f"a{index:02d}"] = (f"{index}.mp4", "truth.mp4")
    pairs = write_pairs(tmp_path, entries)
    measures = ("--measure", "pixels", "--measure", "temporal")
    command = ["evaluate", "--pairs", pairs, *measures, *SMALL]
    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"
    arguments = [sys.executable, "-m", "jobs.cli", *map(str, command), "--out", str(broken)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    driver = subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while driver.poll() is None and len(list((broken / "_parts").glob("*.parquet"))) < 3:
        time.sleep(0.02)
    assert driver.poll() is None
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    code, text, _ = run(*command, "--out", broken, "--json")
    assert (code, json.loads(text)["ok"]) == (0, 24)
    assert json.loads(text)["rows_run"] <= 21
    assert run(*command, "--out", unbroken)[0] == 0
    assert (broken / "_tables/measures.csv").read_bytes() == (unbroken / "_tables/measures.csv").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected either a dataset of results, or --pairs with a table"),
        (["NOWHERE"], "holds no animations; expected the dataset that `zoetrope animate` wrote"),
        (["--pairs", "NOWHERE"], "does not exist; expected a Parquet or CSV file"),
        (["NOWHERE", "--pairs", "NOWHERE"], "expected either a dataset of results, or --pairs with a table"),
        (["--pairs", "NOWHERE", "--truth", "driving"], "--truth goes with a dataset of results"),
        (["NOWHERE", "--measure", "psnr"], "unknown measure 'psnr', expected some of"),
        (
            ["--pairs", "NOWHERE", "--measure", "fid"],
            "there is nothing to compute: NOT COMPUTED for lack of weights: FID",
        ),
        (["--pairs", "NOWHERE", "--measure", "pck"], "(people). "),
        (["--pairs", "NOWHERE", "--measure", "pck"], "the networks that ship with the project do: --preset puppets"),
        (["NOWHERE", "--protocol", "disco"], "unknown protocol 'disco', expected one of tiktok, fashion"),
    ],
)
def test_wrong_usage_is_one_line(run: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
    given = [argument.replace("NOWHERE", str(tmp_path / "nowhere")) for argument in arguments]
    code, _, err = run("evaluate", *given, "--out", tmp_path / "out")
    assert (code, err.count("\n")) == (2, 1)
    assert message in err
    assert not (tmp_path / "out").exists()


def test_help_explains_the_three_forms(run: Run) -> None:
    code, out, _ = run("evaluate", "--help")
    assert code == 0
    for form in ("evaluate RESULTS --out DIR", "evaluate --pairs TABLE --out DIR", "evaluate compare A B"):
        assert form in " ".join(out.split())


def test_metric_names_are_legal() -> None:
    values = (MeasuredValue(name="psnr_db", n=1, value=1.0), MeasuredValue(name="fid", n=0, value=None))
    tables = [
        ModelTable(model=model, setting=setting, ok=1, rejected=0, failed=0, values=values)
        for model, setting in (
            ("a/../b é", "num_steps=30, guidance_scale=3.5"),
            ("x" * 300, "y" * 300),
            ("", "default"),
        )
    ]
    metrics = table_metrics(tables)
    assert next(iter(metrics)) == "a_.._b__/num_steps_30__guidance_scale_3.5/psnr_db"
    assert len(metrics) == 3
    for name in metrics:
        assert re.fullmatch(r"[\w./-]+/psnr_db", name, re.ASCII)
        assert posixpath.normpath(name) == name
        assert len(name) <= 250


def test_networks_with_weights_share_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb, "has_gpu", lambda: True)
    config = configuration.load(None, ["evaluate.keypoints.backend=dwpose"])
    networks = networks_of(config.evaluate, ["keypoints", "lpips", "fid"])
    gpus = {name: workers.gpus for name, workers in verb._workers(config, Options(), networks).items()}
    assert {name for name, count in gpus.items() if count} == {
        *("keypoints", "lpips", "faces", "subject", "background", "fid")
    }
    assert not any(workers.gpus for workers in verb._workers(config, Options(), {}).values())
    declared = configuration.load(None, ["workers.default.gpus=0"])
    assert not any(workers.gpus for workers in verb._workers(declared, Options(), networks).values())
