"""A system that somebody adds, from training to the report of a job; nothing is changed but the tables that name it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import ray.cloudpickle
import toy_system
from puppet_media import write_driving, write_reference
from small_jobs import PUPPETS, tracking_uri
from small_prepared import write_prepared

from jobs.cli.main import main
from jobs.recipes.table import RECIPES
from jobs.training.publish import publish
from models.animation.signals import Signal
from models.systems import SYSTEMS


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The two lines that add the system; the folder where its checkpoint ships."""
    monkeypatch.setitem(SYSTEMS, "toy", toy_system.toy_system(tmp_path / "toy"))
    monkeypatch.setitem(RECIPES, "toy", toy_system.RECIPE)
    return tmp_path / "toy"


@pytest.fixture
def zoetrope(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    def run(*arguments: object, tracked: bool = True) -> tuple[int, str]:
        tracking = ("--tracking-uri", tracking_uri(tmp_path / "mlflow.db")) if tracked else ()
        monkeypatch.setattr(sys, "argv", ["zoetrope", *map(str, arguments), *tracking])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out + err

    return run


def losses(run: Path) -> list[float]:
    found: list[float] = pq.read_table(run / "curves.parquet")["loss"].to_pylist()
    return found


@pytest.mark.slow
def test_a_new_system_is_trained_published_used_and_reported(
    ray_cluster: None, one_thread: None, toy: Path, zoetrope: Any, tmp_path: Path
) -> None:
    ray.cloudpickle.register_pickle_by_value(toy_system)
    prepared = write_prepared(tmp_path, num_clips=3)

    # Training, and a resume that changes nothing.
    assert zoetrope("train", "toy", prepared, "--out", tmp_path / "unbroken")[0] == 0
    broken = ("train", "toy", prepared, "--out", tmp_path / "run")
    assert zoetrope(*broken, "--set", "recipe.steps=4")[0] == 0
    code, text = zoetrope(*broken, "--set", "sample_videos.every_steps=6", "--set", "sample_videos.num_videos=1")
    assert code == 0, text
    assert "the system computes signals from the frames" in text
    assert losses(tmp_path / "run") == losses(tmp_path / "unbroken")
    assert (tmp_path / "run" / "samples" / "step-00000006-0.mp4").stat().st_size > 0

    # Not ready before it is published; afterwards it is one of the models that ship.
    code, text = zoetrope("doctor", "--json", tracked=False)
    jobs = {job["job"]: job["missing"] for job in json.loads(text[: text.rindex("}") + 1])["jobs"]}
    assert jobs["animate, toy"] == ["toy"]
    heldout = {"num_pairs": 1, "size_px": (64, 64), "duration_seconds": 0.5}
    scores = publish(str(tmp_path / "run"), ship=True, heldout=heldout)
    assert scores["exact"]["pairs"] == 1
    assert (toy / "CARD.md").read_text().startswith("# Toy, trained on puppets")
    assert zoetrope("doctor", tracked=False)[1].count("animate, toy: ready") == 1

    # Animation, the signal included.
    write_reference(tmp_path / "a.png")
    write_driving(tmp_path / "a.mp4")
    results = tmp_path / "results"
    command = ("animate", "--reference", tmp_path / "a.png", "--driving", tmp_path / "a.mp4", "--out", results)
    command += ("--model", "toy", *PUPPETS, "--set", "workers.default.actors=1", "--set", "workers.default.cpus=0.5")
    code, text = zoetrope(*command)
    assert code == 0, text
    assert "note: toy: for tests" in text
    (row,) = pyarrow.dataset.dataset(results).to_table().to_pylist()
    assert (row["status"], row["model"], row["num_frames"]) == ("ok", "toy", 6)
    assert (results / row["video_uri"]).stat().st_size > 0
    page = (results / "_report" / "report.html").read_text()
    assert page.count("<video ") == 1
    assert "toy: for tests" in page
    assert zoetrope("report", results)[0] == 0

    # Nothing to do again; a change in code that changes the animation makes the row stale, with the same weights.
    assert "1 done before, 0 to do" in zoetrope(*command)[1]
    system = SYSTEMS["toy"]
    variant = system.variants["toy"]
    default = replace(variant, config=replace(variant.config, num_steps=3))
    for changed in (
        replace(system, variants={"toy": default}),
        replace(system, signals={"face_crops": Signal(compute=toy_system.face_crops, version=2)}),
        replace(system, version=2),
    ):
        SYSTEMS["toy"] = changed
        assert "0 done before, 1 to do" in zoetrope(*command, "--dry-run")[1]
    SYSTEMS["toy"] = system
    assert "1 done before, 0 to do" in zoetrope(*command, "--dry-run")[1]
