"""`prepare` with perception networks of the user's own training."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from dataset_rows import plain_rows
from small_jobs import Corpus, tracking_uri
from trained_networks import write_perception

from jobs.cli.main import main
from jobs.training.perception import TrainPerceptionConfig, train_perception
from jobs.training.puppet_networks import puppet_network_recipe
from models.common.digest import file_digest
from models.perception.shipped import CHECKPOINTS

SIGNALS = ("pose", "depth", "character_mask")
Prepare = Callable[..., tuple[int, str, str]]


@pytest.fixture
def prepare(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Prepare:
    """`zoetrope prepare` of the first clip, in a folder with `runs/mine`: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*options: str) -> tuple[int, str, str]:
        small = ("prepare.decode.short_side_px=128", "workers.default.cpus=0.5", "workers.default.actors=1")
        settings = [word for setting in small for word in ("--set", setting)]
        tracking = ("--tracking-uri", tracking_uri(tmp_path / "mlflow.db"))
        command = ["zoetrope", "prepare", str(corpus.clips), "--out", "prepared", "--limit", "1"]
        monkeypatch.setattr(sys, "argv", [*command, *settings, *tracking, *options])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def only_row(dataset: Path) -> dict[str, Any]:
    (row,) = [row for path in dataset.glob("*.parquet") for row in plain_rows(pq.read_table(path))]
    return row


def trained(folder: Path) -> Path:
    """The figure network that ships, after another step of training. Returns the training job's folder."""
    config = TrainPerceptionConfig(
        work=folder,
        out=folder / "published",
        start_from=CHECKPOINTS,
        networks=("figure",),
        figure=puppet_network_recipe(steps=1, batch_size=2, learning_rate=1e-6, warmup_steps=1),
        num_videos=4,
        num_portraits=1,
        frames_per_video=1,
        heldout_videos=2,
        heldout_clips=1,
        heldout_portraits=1,
        render_processes=1,
    )
    train_perception(config)
    return folder


@pytest.mark.slow
def test_what_is_trained_is_prepared_with(ray_cluster: None, corpus: Corpus, prepare: Prepare, tmp_path: Path) -> None:
    file = trained(tmp_path / "runs" / "mine") / "published" / "figure.safetensors"
    code, out, err = prepare("--preset", "runs/mine")
    assert code == 0, err
    assert (
        f"embedded@mine: trained networks of {tmp_path / 'runs' / 'mine'}, in pose, depth, character_mask." in out + err
    )

    row = only_row(tmp_path / "prepared")
    assert {name: row["networks"][name] for name in SIGNALS} == dict.fromkeys(SIGNALS, "embedded@mine")
    assert row["networks"].get("object_masks", "embedded") == "embedded"
    assert row["weights"]["embedded-pose"] == file_digest(file)
    shipped = [row for path in corpus.dataset.glob("*.parquet") for row in plain_rows(pq.read_table(path))]
    before = next(each for each in shipped if each["clip_id"] == row["clip_id"])
    differ = {name for name, key in row["stage_keys"].items() if key != before["stage_keys"][name]}
    assert differ >= set(SIGNALS)
    assert not differ & {"decode", "object_masks"}
    assert "embedded@mine (1 row)" in (tmp_path / "prepared" / "_report" / "report.html").read_text()
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        query = "SELECT value FROM params WHERE key = 'network.pose'"
        assert database.execute(query).fetchall() == [("embedded@mine",)]

    # The same by a section, and where the same file lies elsewhere: nothing is to do.
    shutil.copytree(file.parent, tmp_path / "elsewhere")
    sections = [word for name in SIGNALS for word in ("--set", f"prepare.{name}.model=elsewhere")]
    code, out, err = prepare(*sections, "--dry-run")
    assert (code, "1 done before, 0 to do" in out) == (0, True), err

    write_perception(file.parent, "figure")
    code, out, err = prepare("--preset", "runs/mine", "--dry-run")
    assert (code, "0 done before, 1 to do" in out) == (0, True), err
    assert "stale by pose, in 1 rows: weights of embedded-pose" in out

    # Nobody named networks: the row's are not changed.
    code, _, err = prepare("--dry-run")
    assert (code, err.count("\n")) == (2, 1)
    assert f"to go on as before, --preset {tmp_path / 'runs' / 'mine'}; to make them again, --preset people" in err


def test_all_networks_that_cannot_be_used_are_named_before_the_job(prepare: Prepare, tmp_path: Path) -> None:
    write_perception(tmp_path / "nets", "object")
    shutil.copy(tmp_path / "nets" / "object.safetensors", tmp_path / "nets" / "figure.safetensors")
    write_perception(tmp_path / "cut", "figure")
    (tmp_path / "cut" / "figure.safetensors").write_bytes(b"cut")
    places = {"pose": "nets", "depth": "cut", "character_mask": "./nowhere", "vae_latents": "nets"}
    code, _, err = prepare(
        *(word for name, place in places.items() for word in ("--set", f"prepare.{name}.model={place}")),
        *("--set", "prepare.vae_latents.enabled=true"),
    )
    assert (code, err.count("\n")) == (2, 1)
    assert f"{tmp_path}/nets/figure.safetensors is of another architecture" in err
    assert f"{tmp_path}/cut/figure.safetensors is truncated" in err
    assert f"{tmp_path}/nowhere holds no figure.safetensors" in err
    assert f"{tmp_path}/nets holds no vae.safetensors, expected the folder to which `zoetrope train appearance`" in err
    assert not (tmp_path / "prepared").exists()
