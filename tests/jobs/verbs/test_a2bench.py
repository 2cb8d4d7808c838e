"""A²Bench from the command line: a stand-in drawn, its requests, animations of them, and their evaluation."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from dataset_rows import plain_rows
from PIL import Image
from small_jobs import options, small_config
from toy_animation import ToySystem, toy_model

from jobs.cli.main import main
from jobs.engine.console import Console
from jobs.engine.spec import JobResult
from jobs.verbs.animate import animate
from jobs.verbs.evaluate import evaluate
from models.pose.pose_file import read_pose_file
from models.puppets import sample_pair
from models.puppets.truth_file import read_truth
from models.systems import SYSTEMS
from pipelines.engine.ledger import Ledger
from pipelines.evaluation.tables import ModelTable, evaluation_tables
from stages.io.storage import Storage

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `zoetrope a2bench …` in this process; returns exit code, stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["zoetrope", "a2bench", *(str(argument) for argument in arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


SMALL = ("--size", 64, 64, "--seconds", 0.5, "--characters", 3)


@pytest.fixture
def bench(run: Run, tmp_path: Path) -> Path:
    # The middle character is an orange without shoulders and hips.
    assert run("draw", tmp_path / "bench", *SMALL)[0] == 0
    return tmp_path / "bench"


def rows(dataset: Path, key: str) -> dict[str, dict[str, Any]]:
    table = pyarrow.dataset.dataset(dataset).to_table()
    return {row[key]: row for row in plain_rows(table)}


def keypoints(poses: Path) -> dict[str, np.ndarray]:
    return {name: np.array(row["keypoints"], np.float32) for name, row in rows(poses, "clip_id").items()}


def test_stand_in_is_held_out_and_reproducible(run: Run, bench: Path, tmp_path: Path) -> None:
    names = [path.stem for path in sorted((bench / "videos").iterdir())]
    assert names == ["puppet-000000", "puppet-000001", "puppet-000002"]
    for seed, name in enumerate(names):
        spec = sample_pair(seed, body="anthropomorphic", size_px=(64, 64), duration_seconds=0.5).target
        assert (spec.split, spec.character.body) == ("heldout", "anthropomorphic")
        truth = read_truth(bench / "truth" / f"{name}.npz")
        found = read_pose_file(bench / "saved_pkl" / f"{name}.pkl", shown=name)
        there = found.keypoints[..., 2] > 0
        assert there.any()
        np.testing.assert_allclose(found.keypoints[there], [*_with_score(truth.keypoints)[there]], atol=1e-4)
        with Image.open(bench / "images" / f"{name}.png") as picture:
            assert picture.size == (64, 64)
    assert run("draw", tmp_path / "again", *SMALL)[0] == 0
    assert _digests(tmp_path / "again") == _digests(bench)


def _with_score(truth: np.ndarray) -> np.ndarray:
    return np.concatenate([truth[..., :2], truth[..., 2:] > 0], axis=-1)


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_settings_self_driven_and_rescaled(run: Run, bench: Path, tmp_path: Path) -> None:
    code, out, _ = run("requests", bench, "--out", tmp_path / "self", "--json")
    assert (code, json.loads(out)["requests"], json.loads(out)["malformed"]) == (0, 3, {})
    code, out, err = run("requests", bench, "--out", tmp_path / "rescaled", "--setting", "rescaled", "--json")
    assert (code, json.loads(out)["not_rescaled"]) == (0, ["puppet-000001"])
    assert "1 characters have too little of a human skeleton to be rescaled: puppet-000001" in err
    for request in pq.read_table(tmp_path / "rescaled" / "requests.parquet").to_pylist():
        assert request["reference_uri"] == str(bench / "images" / f"{request['request_id']}.png")
        assert request["clips_uri"] == str(tmp_path / "rescaled" / "poses")
        assert (request["clip_id"], request["retarget"]) == (request["request_id"], "frame")
    own, lent = keypoints(tmp_path / "self" / "poses"), keypoints(tmp_path / "rescaled" / "poses")
    for name, skeletons in own.items():
        given = read_pose_file(bench / "saved_pkl" / f"{name}.pkl", shown=name).keypoints
        np.testing.assert_array_equal(skeletons, given)
        np.testing.assert_array_equal(lent[name][..., 2], given[..., 2])
        assert np.allclose(lent[name], given) == (name == "puppet-000001")
    people = rows(bench / "humans", "clip_id")
    shapes = {name: row["body_shape"] for name, row in rows(tmp_path / "rescaled" / "poses", "clip_id").items()}
    assert shapes["puppet-000001"] is None
    for name in ("puppet-000000", "puppet-000002"):
        human = np.array(people[shapes[name]]["keypoints"][0], np.float32)
        # Torso and shoulders, compared in the same frame because foreshortening varies.
        assert any(abs(_torso(frame) - _torso(human)) < 0.05 for frame in lent[name])
        assert not any(abs(_torso(frame) - _torso(human)) < 0.05 for frame in own[name])

    # Reproducible; the choice of humans depends on the seed; a prepared dataset is accepted.
    run("requests", bench, "--out", tmp_path / "again", "--setting", "rescaled")
    assert _digests(tmp_path / "again" / "poses") == _digests(tmp_path / "rescaled" / "poses")
    code, _, _ = run(
        "requests",
        bench,
        "--out",
        tmp_path / "other",
        "--setting",
        "rescaled",
        "--humans",
        bench / "humans",
        "--seed",
        3,
    )
    assert code == 0
    assert _digests(tmp_path / "other" / "poses") != _digests(tmp_path / "rescaled" / "poses")


def _torso(frame: np.ndarray) -> float:
    """Distance between the centres of shoulders and hips in pixels."""
    return float(np.linalg.norm(frame[5:7, :2].mean(0) - frame[11:13, :2].mean(0)))


def animated(requests: Path, out: Path) -> JobResult:
    how = options(out.parent, max_failed="100%")
    return animate(str(out), requests=str(requests), defaults={"model": "toy"}, config=small_config(), options=how,
                   console=Console(json_only=True))  # fmt: skip


def test_requests_are_animated_evaluated_and_rerun_for_changed_skeletons(
    ray_cluster: None, run: Run, bench: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SYSTEMS, "toys", ToySystem((toy_model(),)))
    run("requests", bench, "--out", tmp_path / "rescaled", "--setting", "rescaled")
    requests, results = tmp_path / "rescaled" / "requests.parquet", tmp_path / "results"
    assert animated(requests, results).summary["ok"] == 3
    made = rows(results, "request_id")
    assert {row["retarget_rule"] for row in made.values()} == {"frame"}
    assert {row["num_frames"] for row in made.values()} == {4}
    # In the self-driven setting, the character with unchanged skeletons is not run again.
    run("requests", bench, "--out", tmp_path / "rescaled", "--setting", "self-driven")
    assert animated(requests, results).summary["rows_run"] == 2
    again = rows(results, "request_id")
    kept = [name for name in made if made[name]["work_key"] == again[name]["work_key"]]
    assert kept == ["puppet-000001"]

    (table,) = evaluated(results, tmp_path / "evaluation")
    values = {value.name: value for value in table.values}
    assert (table.model, table.ok, values["psnr_db"].n) == ("toy", 3, 3)
    assert 0 < values["psnr_db"].value < 40  # a toy lays skeletons and noise over the reference
    # A video that is gone is the outcome of its row.
    (bench / "videos" / "puppet-000002.mp4").unlink()
    (table,) = evaluated(results, tmp_path / "evaluation")
    assert (table.ok, table.failed) == (2, 1)
    lost = rows(tmp_path / "evaluation", "animation_id")["puppet-000002"]
    assert (lost["reason"], str(bench / "videos" / "puppet-000002.mp4") in lost["message"]) == ("NotFound", True)


def evaluated(results: Path, out: Path) -> tuple[ModelTable, ...]:
    how = options(out.parent, max_failed="100%")
    evaluate(str(out), results=str(results), protocol="a2bench-rescaled", measures=["pixels"],
             config=small_config(), options=how, console=Console(json_only=True))  # fmt: skip
    return evaluation_tables(Ledger(Storage(str(out)), "animation_id"))


MALFORMED: dict[str, tuple[Callable[[Path], object], str]] = {
    "picture": (lambda b: (b / "images/puppet-000001.png").write_bytes(b"<html>"), "puppet-000001.png is no picture"),
    "no picture": (lambda b: (b / "images/puppet-000001.png").unlink(), "puppet-000001.mp4 has no counterpart in "),
    "video": (lambda b: (b / "videos/puppet-000001.mp4").write_bytes(b"<html>"), "puppet-000001.mp4"),
    "no video": (
        lambda b: (b / "videos/puppet-000001.mp4").unlink(),
        "expected puppet-000001 with one of the suffixes",
    ),
    "poses": (lambda b: (b / "saved_pkl/puppet-000001.pkl").write_bytes(b"cos\nsystem\n"), "pkl is no pose file"),
    "no poses": (lambda b: (b / "saved_pkl/puppet-000001.pkl").unlink(), "saved_pkl; expected puppet-000001 with"),
    "two pictures": (
        lambda b: shutil.copy(b / "images/puppet-000001.png", b / "images/puppet-000001.jpg"),
        "images/puppet-000001.png have the same name; expected one file per name in images",
    ),
    "other poses": (
        lambda b: shutil.copy(b / "longer/saved_pkl/puppet-000001.pkl", b / "saved_pkl"),
        "holds 8 skeletons, expected one for each of the 4 frames of ",
    ),
    "poses of another size": (
        lambda b: shutil.copy(b / "larger/saved_pkl/puppet-000001.pkl", b / "saved_pkl"),
        "for frames of 96 x 96 pixels, expected the size of ",
    ),
    "name": (lambda b: (b / "images/a b.png").write_bytes(b""), "a b.png: a name is 1 to 128 letters, digits"),
}


@pytest.mark.parametrize("wrong", MALFORMED)
def test_malformed_items_are_reported_and_left_out(run: Run, bench: Path, tmp_path: Path, wrong: str) -> None:
    if wrong == "other poses":
        run("draw", bench / "longer", *SMALL[:4], 1, "--characters", 2)
    if wrong == "poses of another size":
        run("draw", bench / "larger", "--size", 96, 96, *SMALL[3:5], "--characters", 2)
    spoil, message = MALFORMED[wrong]
    spoil(bench)
    code, out, err = run("requests", bench, "--out", tmp_path / "out", "--json")
    said = json.loads(out)
    assert (code, len(said["malformed"]), err.count("error: ")) == (1, 1, 1)
    assert message in err
    assert str(bench) in err
    assert said["requests"] == (3 if wrong == "name" else 2)
    assert pq.read_table(tmp_path / "out" / "requests.parquet").num_rows == said["requests"]


USAGE = [
    (["requests", "NOWHERE"], "holds no benchmark; expected the folders images, videos, saved_pkl in it"),
    (
        ["requests", "BENCH", "--setting", "selfdriven"],
        "unknown setting 'selfdriven', expected self-driven or rescaled",
    ),
    (["requests", "BENCH", "--humans", "BENCH/humans"], "--humans lends body shapes in the setting rescaled"),
    (["requests", "BENCH", "--setting", "rescaled", "--humans", "NOWHERE"], "holds no prepared clips"),
    (["draw", "NOWHERE", "--size", "63", "64"], "expected even numbers (height, width)"),
    (["draw", "NOWHERE", "--seconds", "0.1"], "expected two frames or more"),
]


@pytest.mark.parametrize(("arguments", "message"), USAGE)
def test_wrong_usage_is_one_line(run: Run, bench: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    places = {"BENCH": str(bench), "NOWHERE": str(tmp_path / "nowhere")}
    out = ["--out", str(tmp_path / "out")] if arguments[0] == "requests" else []
    given = [argument.replace("BENCH", places["BENCH"]).replace("NOWHERE", places["NOWHERE"]) for argument in arguments]
    code, _, err = run(*given, *out)
    assert (code, err.count("\n")) == (2, 1)
    assert message in err
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "nowhere").exists()
