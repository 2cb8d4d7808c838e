"""The closing line of `zoetrope train MODEL`, however it ends: by real signals to the real command."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from small_jobs import options, tracking_uri
from small_prepared import write_prepared
from tiny_animate_anyone import tiny_recipe, write_appearance

from jobs.engine.console import Console
from jobs.training.config import load
from jobs.verbs.train import train

MODEL = "animate-anyone-puppets"
HELDOUT = {"every_steps": 2, "num_clips": 1, "num_frames": 2}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe of 100000 steps with a checkpoint every third one, beside `prepared`."""
    write_prepared(tmp_path, num_clips=4)
    settings = tiny_recipe(write_appearance(tmp_path / "appearance"), steps=100_000)
    settings |= {"checkpoints": {"every_steps": 3}, "heldout": HELDOUT}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def test_a_finished_run_says_what_was_done(
    recipe: Path, tmp_path: Path, one_thread: None, capsys: pytest.CaptureFixture[str]
) -> None:
    config = load(MODEL, recipe, ["recipe.steps=2"])
    done = train(
        str(tmp_path / "prepared"),
        str(tmp_path / "run"),
        config=config,
        options=options(tmp_path),
        console=Console(),
    )
    closing = capsys.readouterr().out.splitlines()[-1]
    figures = rf"loss {done.summary['loss']:.4f}, held-out PSNR {done.summary['heldout_psnr_db']:.2f} dB"
    assert re.fullmatch(rf"train {MODEL}: 2 of 2 steps, {re.escape(figures)}; \d+ s", closing)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_how_far_it_came_and_how_to_go_on(
    number: int, code: int, recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = subprocess.Popen(
        [
            *(sys.executable, "-m", "jobs.cli", "train", MODEL, str(tmp_path / "prepared"), "--out", str(out)),
            *("--config", str(recipe), "--tracking-uri", tracking_uri(tmp_path / "mlflow.db")),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    while command.poll() is None and not list(out.glob("checkpoints/step-*.json")):
        time.sleep(0.02)
    os.killpg(command.pid, number)
    text, errors = command.communicate(timeout=120)
    assert command.returncode == code, errors
    closing = re.fullmatch(
        rf"train {MODEL}: (\d+) of 100000 steps, loss \d+\.\d+, held-out PSNR \d+\.\d\d dB; \d+ s; "
        rf"checkpoint of step (\d+): {out}/checkpoints/step-\d+/weights.safetensors; the same command continues",
        text.splitlines()[-1],
    )
    assert closing is not None, text
    step, saved = map(int, closing.groups())
    assert step >= saved >= 3
    assert saved % 3 == 0
    assert "Traceback" not in errors
