"""Training runs whose checkpoints were damaged."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from small_jobs import options
from small_prepared import write_prepared
from tiny_animate_anyone import tiny_recipe, write_appearance

from jobs.engine.console import Console
from jobs.engine.spec import JobResult
from jobs.training.config import load
from jobs.verbs.train import train
from models.common.digest import CheckpointError


def losses(out: Path) -> list[float]:
    found: list[float] = pq.read_table(out / "curves.parquet")["loss"].to_pylist()
    return found


def test_a_cut_state_falls_back_to_the_checkpoint_before_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepared = write_prepared(tmp_path / "prepared", num_clips=2)
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(tiny_recipe(write_appearance(tmp_path / "appearance"))))

    def run(*assignments: str) -> JobResult:
        return train(
            str(prepared),
            str(tmp_path / "out"),
            config=load("animate-anyone-puppets", path, assignments),
            options=options(tmp_path),
            console=Console(json_only=True),
        )

    assert run().summary["step"] == 8
    unbroken = losses(tmp_path / "out")
    state = tmp_path / "out" / "checkpoints" / "step-00000008" / "training.pt"
    state.write_bytes(state.read_bytes()[:1000])
    capsys.readouterr()
    again = run()
    assert (again.exit_code, again.summary["first_step"], again.summary["step"]) == (0, 6, 8)
    message = capsys.readouterr().err
    assert f"cannot read the checkpoint {state}" in message
    assert "continuing from the checkpoint of step 6" in message
    assert losses(tmp_path / "out") == unbroken
    for each in (tmp_path / "out" / "checkpoints").glob("*/training.pt"):
        each.write_bytes(b"")
    with pytest.raises(CheckpointError, match="can be read; give another --out to begin anew"):
        run()
