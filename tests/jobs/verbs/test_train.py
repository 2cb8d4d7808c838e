from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from small_jobs import options, tracking_uri
from small_prepared import write_prepared
from tiny_animate_anyone import TINY, tiny_recipe, write_appearance
from tiny_animate_x import TINY as TINY_ANIMATE_X

from jobs.cli.main import main
from jobs.engine.config import validated
from jobs.engine.console import Console
from jobs.engine.spec import JobResult
from jobs.training.config import load
from jobs.verbs.train import train
from models.animate_anyone.config import AnimateAnyoneConfig
from models.common.checkpoint import load_checkpoint, read_tensors, save_checkpoint
from models.common.safetensors_file import read_metadata
from models.puppet_models.animate_anyone.network import PuppetAnimateAnyone
from pipelines.engine.lock import dataset_lock
from stages.io.storage import Storage

CHECKOUT = Path(__file__).resolve().parents[3]

Recipe = dict[str, Any]
ANYONE, X = "animate-anyone-puppets", "animate-x-puppets"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(tmp_path_factory.mktemp("prepared"), num_clips=4)


@pytest.fixture(scope="module")
def appearance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_appearance(tmp_path_factory.mktemp("appearance"))


@pytest.fixture
def run(tmp_path: Path, prepared: Path) -> Callable[..., JobResult]:
    def call(
        out: str,
        recipe: Recipe,
        *assignments: str,
        start_from: str | None = None,
        name: str = ANYONE,
        **how: Any,
    ) -> JobResult:
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(recipe))
        return train(
            str(prepared),
            str(tmp_path / out),
            config=load(name, path, assignments),
            start_from=start_from,
            options=options(tmp_path, **how),
            console=Console(json_only=True),
        )

    return call


def losses(out: Path) -> list[float]:
    found: list[float] = pq.read_table(out / "curves.parquet")["loss"].to_pylist()
    return found


def test_stage_two_starts_from_stage_one(tmp_path: Path, appearance: Path, run: Callable[..., JobResult]) -> None:
    recipe = tiny_recipe(appearance)
    recipe["sample_videos"] = {"every_steps": 8, "num_videos": 1, "num_frames": 4}
    first = run("one", recipe)
    assert first.exit_code == 0, first.summary
    assert first.summary["step"] == 8
    assert len(losses(tmp_path / "one")) == 8
    assert sorted(path.name for path in (tmp_path / "one" / "checkpoints").iterdir()) == [
        "step-00000006",
        "step-00000006.json",
        "step-00000008",
        "step-00000008.json",
    ]
    assert (tmp_path / "one" / "samples" / "step-00000008-0.mp4").stat().st_size > 0
    weights = Path(first.summary["weights"])
    load_checkpoint(PuppetAnimateAnyone(TINY), weights)

    second = run("two", tiny_recipe(appearance, stage=2), start_from=str(tmp_path / "one"))
    assert second.exit_code == 0, second.summary
    before, after = read_tensors(weights), read_tensors(Path(second.summary["weights"]))
    runs = read_metadata(Path(second.summary["weights"]))["runs"]
    assert [(run["stage"], run["steps"], run["clips"]) for run in runs] == [(1, 8, 4), (2, 8, 4)]
    assert all(run["model"]["name"] == ANYONE for run in runs)
    assert validated(runs[1]["model"]["network"], AnimateAnyoneConfig) == TINY
    moved = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert moved
    assert all(".motion_modules." in name for name in moved)


def test_animate_x_is_trained_and_resumed_with_sample_skeletons(
    tmp_path: Path, appearance: Path, run: Callable[..., JobResult]
) -> None:
    recipe = tiny_recipe(appearance, network=TINY_ANIMATE_X, num_frames=4)
    recipe["sample_videos"] = {"every_steps": 8, "num_videos": 1, "num_frames": 4}
    unbroken = run("unbroken", recipe, name=X)
    assert unbroken.exit_code == 0, unbroken.summary
    samples = tmp_path / "unbroken" / "samples"
    assert (samples / "step-00000008-0.mp4").stat().st_size > 0
    picture = cv2.imread(str(samples / "changed-skeletons.png"))
    assert picture.shape == (3 * 64, 8 * 64, 3)
    found, drawn = picture[64:128], picture[128:]
    assert drawn.any()
    assert not np.array_equal(found, drawn)
    run("out", recipe, "recipe.steps=5", name=X)
    longer = run("out", recipe, name=X)
    assert longer.summary["first_step"] == 5
    assert losses(tmp_path / "out") == losses(tmp_path / "unbroken")
    without = "recipe.sampling.explicit_indicator=null"
    with pytest.raises(ValueError, match="was begun with another recipe"):
        run("out", recipe, without, name=X)
    plain = run("plain", recipe, without, name=X, start_from=str(tmp_path / "out"))
    assert plain.exit_code == 0, plain.summary
    assert not (tmp_path / "plain" / "samples" / "changed-skeletons.png").exists()


def test_command_line_plans_animate_x_and_rejects_unknown_settings(
    tmp_path: Path, prepared: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(*arguments: str) -> tuple[int, str, str]:
        command = ["train", X, str(prepared), "--out", str(tmp_path / "out"), "--dry-run", "--json"]
        monkeypatch.setattr(sys, "argv", ["zoetrope", *command, *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    code, out, err = call("--set", "recipe.sampling.num_frames=4", "--num-workers", "2")
    assert code == 0
    summary = json.loads(out)
    assert summary.pop("steps_left") > 0
    assert summary == {"verb": "train", "clips": 4, "dry_run": True, "seconds_per_step": None}
    assert "time: unknown, as no step is done; the same command with --set recipe.steps=20 measures it" in err
    assert not (tmp_path / "out").exists()
    assert "train animate-x-puppets, stage 1: 4 clips" in err
    assert "2 workers (ddp)" in err
    for arguments, words in (
        (("--set", "recipe.sampling.explicit_indicator.realing=false"), "realing: no such key; did you mean realign?"),
        (("--set", "model.network.indicator.heads=2"), "model.network.indicator.heads: no such key"),
        (("--set", "model.network.indicator=null"), "motion attention reads the pose indicator's tokens"),
        (("--set", "model.size=moore"), "model.size: no such key"),
        (("--set", "recipe.sampling.num_frames=64"), "a sample spans 64 frames, the longest of 4 clips has 12"),
    ):
        code, _, err = call(*arguments)
        assert (code, err.count("\n")) == (2, 1), err
        assert words in err


def test_mlflow_has_curves_recipe_dataset_and_videos(
    tmp_path: Path, appearance: Path, run: Callable[..., JobResult]
) -> None:
    from mlflow import MlflowClient

    recipe = tiny_recipe(appearance)
    recipe["sample_videos"] = {"every_steps": 8, "num_videos": 1, "num_frames": 4}
    result = run("out", recipe)
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    found = client.get_run(result.summary["mlflow_run_id"])
    assert found.info.status == "FINISHED"
    curve = client.get_metric_history(found.info.run_id, "loss")
    assert [point.step for point in curve] == [2, 4, 6, 8]
    assert curve[0].value == pytest.approx(sum(losses(tmp_path / "out")[:2]) / 2)
    assert {"data_wait_share", "samples_per_second", "grad_norm", "learning_rate"} <= found.data.metrics.keys()
    names = {item.path for item in client.list_artifacts(found.info.run_id)}
    assert {"config.yaml", "samples"} <= names
    assert found.data.params["dataset_digest"]
    assert len(found.inputs.dataset_inputs) == 1


def test_a_finished_run_can_only_be_extended(tmp_path: Path, appearance: Path, run: Callable[..., JobResult]) -> None:
    recipe = tiny_recipe(appearance)
    unbroken = run("unbroken", recipe)
    run("out", recipe, "recipe.steps=5")
    longer = run("out", recipe)
    assert longer.summary["first_step"] == 5
    assert losses(tmp_path / "out") == losses(tmp_path / "unbroken")
    assert longer.summary["mlflow_run_id"] != unbroken.summary["mlflow_run_id"]
    again = run("out", recipe)
    assert again.exit_code == 0
    assert again.summary["step"] == 8
    with pytest.raises(ValueError, match="was begun with another recipe"):
        run("out", recipe, "recipe.batch_size=4")
    with pytest.raises(ValueError, match="was begun on another snapshot of the dataset"):
        run("out", recipe, limit=2)


def test_a_dry_run_says_how_long_it_takes_and_writes_nothing(
    tmp_path: Path, appearance: Path, run: Callable[..., JobResult], capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tiny_recipe(appearance)
    run("out", recipe, "recipe.steps=2")
    (tmp_path / "out" / ".unfinished").touch()  # of a run that may be at work
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    with dataset_lock(Storage(str(tmp_path / "out")), "another job"):
        locked = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
        summary = run("out", recipe, dry_run=True).summary
        assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == locked
    assert summary["steps_left"] == 6
    assert summary["seconds_per_step"] > 0
    assert " for 6 steps, " in capsys.readouterr().err
    assert before.keys() <= locked.keys()


def test_divergence_names_the_step_and_keeps_the_last_good_checkpoint(
    tmp_path: Path, appearance: Path, run: Callable[..., JobResult], capsys: pytest.CaptureFixture[str]
) -> None:
    """Uses a learning rate at which every network diverges."""
    recipe = tiny_recipe(appearance, optimizer={"learning_rate": 1e12, "warmup_steps": 0, "max_grad_norm": 1e12})
    recipe["checkpoints"]["every_steps"] = 1
    result = run("out", recipe)
    assert result.exit_code == 1
    assert "training diverged at step" in result.summary["error"]
    step = result.summary["step"]
    assert f"diverged at step {step + 1}:" in result.summary["error"]
    assert f"the last good checkpoint is {result.summary['weights']}" in capsys.readouterr().err
    kept = read_tensors(Path(result.summary["weights"]))
    assert all(bool(value.isfinite().all()) for value in kept.values())


def test_rejects_missing_weights_and_those_of_another_network(
    tmp_path: Path, appearance: Path, run: Callable[..., JobResult]
) -> None:
    with pytest.raises(ValueError, match="is no run with a checkpoint; give"):
        run("out", tiny_recipe(appearance), start_from=str(tmp_path))
    with pytest.raises(ValueError, match="no checkpoint at"):
        run("out", tiny_recipe(appearance), start_from=str(tmp_path / "absent.safetensors"))
    with pytest.raises(ValueError, match="does not fit PuppetAnimateAnyone"):
        run("out", tiny_recipe(appearance), start_from=str(appearance / "vae.safetensors"))


def test_partial_start_loads_matching_tensors(
    tmp_path: Path, appearance: Path, run: Callable[..., JobResult], caplog: pytest.LogCaptureFixture
) -> None:
    first = read_tensors(Path(run("one", tiny_recipe(appearance, steps=1)).summary["weights"]))
    fewer = {name: tensor for name, tensor in first.items() if not name.startswith("limb_warp.")}
    conv_in = fewer["denoiser.conv_in.weight"]
    fewer["denoiser.conv_in.weight"] = conv_in[:, :-3]  # fewer input channels: the first are loaded, the rest are 0
    save_checkpoint(fewer, tmp_path / "fewer.safetensors", metadata={})
    recipe = tiny_recipe(appearance, steps=1, optimizer={"learning_rate": 1e-12})
    with pytest.raises(ValueError, match=r"2 missing \(limb_warp"):
        run("two", recipe, start_from=str(tmp_path / "fewer.safetensors"))
    recipe["model"]["partial_start"] = True
    result = run("two", recipe, start_from=str(tmp_path / "fewer.safetensors"))
    weights = Path(result.summary["weights"])
    second = read_tensors(weights)
    assert f"{len(fewer)} of {len(second)} tensors are loaded from" in caplog.text
    fewer["denoiser.conv_in.weight"] = torch.cat([conv_in[:, :-3], torch.zeros_like(conv_in[:, :3])], 1)
    assert all(torch.allclose(second[name], value, atol=1e-6) for name, value in fewer.items())
    runs = read_metadata(weights)["runs"]
    assert [each["model"]["partial_start"] for each in runs] == [True]  # type: ignore[attr-defined]  # JSON
    with pytest.raises(ValueError, match="has no tensor with the name and shape of one of PuppetAnimateAnyone"):
        run("three", recipe, start_from=str(appearance / "vae.safetensors"))


@pytest.mark.slow
def test_a_killed_run_resumes_with_the_same_losses(
    tmp_path: Path, prepared: Path, appearance: Path, run: Callable[..., JobResult]
) -> None:
    """Command line with SIGKILL at two moments, then a run to the end."""
    recipe = tiny_recipe(appearance, steps=16, ema_decay=0.9)
    run("unbroken", recipe)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    out = tmp_path / "killed"
    command = [
        *(sys.executable, "-m", "jobs.cli", "train", ANYONE, str(prepared), "--out", str(out)),
        *("--config", str(tmp_path / "recipe.yaml"), "--tracking-uri", tracking_uri(tmp_path / "killed.db"), "--json"),
    ]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (out / "checkpoints" / "step-00000009.json").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    summary = json.loads(done.stdout)
    assert 9 <= summary["first_step"] < 16
    assert losses(out) == losses(tmp_path / "unbroken")
    end, expected = (
        read_tensors(folder / "checkpoints" / "step-00000016" / "weights.safetensors")
        for folder in (out, tmp_path / "unbroken")
    )
    assert all(torch.equal(end[name], value) for name, value in expected.items())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "strategy"),
    # tests/models/training/test_parallel.py compares FSDP without Ray.
    [(ANYONE, "ddp"), *(pytest.param(name, "fsdp", marks=pytest.mark.nightly) for name in (ANYONE, X))],
)
def test_two_workers_of_ray_train_equal_one(
    ray_cluster: None,
    tmp_path: Path,
    appearance: Path,
    run: Callable[..., JobResult],
    name: str,
    strategy: str,
) -> None:
    recipe = tiny_recipe(appearance, batch_size=4, steps=6)
    if name == X:
        recipe = tiny_recipe(appearance, batch_size=4, steps=6, network=TINY_ANIMATE_X, num_frames=4)
    optimizer = ("recipe.optimizer.name=adamw",) if strategy == "fsdp" else ()
    run("one", recipe, *optimizer, name=name)
    workers = ("num=2", "cpus=0.5", "max_failures=0", f"strategy={strategy}")
    two = run("two", recipe, *optimizer, *(f"workers.{setting}" for setting in workers), "data.cpus=0.5", name=name)
    assert two.exit_code == 0, two.summary
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)
    one, other = (
        read_tensors(tmp_path / out / "checkpoints" / "step-00000006" / "weights.safetensors") for out in ("one", "two")
    )
    for name, value in one.items():
        assert torch.allclose(other[name], value, atol=1e-4), name
