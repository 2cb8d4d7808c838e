from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.cli.main import main
from jobs.verbs.puppets import write_puppets
from models.puppets import face_twin, living_scene, sample_interaction, sample_portrait, sample_spec
from models.puppets.truth_file import read_truth

SMALL = {"size_px": (96, 72), "fps": 8.0, "seconds": 1.0}


def _digests(out: Path) -> dict[str, str]:
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_videos_ground_truth_and_tables_agree(tmp_path: Path) -> None:
    corpus = write_puppets(tmp_path, num_videos=6, seed=3, num_processes=1, **SMALL)
    puppets = pq.read_table(tmp_path / "puppets.parquet").to_pylist()
    prompts = pq.read_table(tmp_path / "objects.parquet").to_pylist()
    assert (corpus.num_videos, corpus.num_frames, corpus.num_object_prompts) == (6, 48, len(prompts))
    assert len({row["video_id"] for row in puppets}) == 6
    assert prompts
    assert [row["body"] for row in puppets] == ["human", "anthropomorphic"] * 3
    for row in puppets:
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", row["video_id"])
        assert row["uri"] == f"videos/{row['video_id']}.mp4"
        truth = read_truth(tmp_path / "truth" / f"{row['video_id']}.npz")
        with av.open(str(tmp_path / row["uri"])) as container:
            frames = list(container.decode(video=0))
        assert [frame.time for frame in frames] == truth.frame_seconds.tolist()
        assert truth.character_mask.shape == (8, 96, 72)
        assert len(truth.shot_starts_seconds) == row["num_shots"]
        spec = sample_spec(row["seed"], body=row["body"], size_px=(96, 72), duration_seconds=1.0)
        assert (spec.character.recipe, spec.motion.name) == (row["character"], row["motion"])
    for prompt in prompts:
        truth = read_truth(tmp_path / "truth" / f"{prompt['video_id']}.npz")
        index = truth.frame_seconds.tolist().index(prompt["seconds"])
        rows, columns = np.nonzero(truth.object_masks[prompt["object_id"]][index])
        assert prompt["box"] == [columns.min(), rows.min(), columns.max(), rows.max()]


def test_same_arguments_same_bytes_however_many_processes(tmp_path: Path) -> None:
    write_puppets(tmp_path / "a", num_videos=2, seed=5, num_processes=1, **SMALL)
    write_puppets(tmp_path / "b", num_videos=2, seed=5, num_processes=2, **SMALL)
    first = _digests(tmp_path / "a")
    assert first == _digests(tmp_path / "b")
    (tmp_path / "a" / "puppets.parquet").unlink()  # as after an interrupted run
    write_puppets(tmp_path / "a", num_videos=2, seed=5, num_processes=1, **SMALL)
    assert _digests(tmp_path / "a") == first


def test_the_split_and_the_body_are_kept(tmp_path: Path) -> None:
    write_puppets(tmp_path, num_videos=3, seed=1, split="heldout", body="human", num_processes=1, **SMALL)
    rows = pq.read_table(tmp_path / "puppets.parquet").to_pylist()
    assert {(row["split"], row["body"]) for row in rows} == {("heldout", "human")}


def test_only_humans_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = ["--size", "64", "64", "--fps", "4", "--seconds", "0.5"]
    monkeypatch.setattr(sys, "argv", ["zoetrope", "puppets", str(tmp_path), "--videos", "2", "--only-humans", *size])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    assert pq.read_table(tmp_path / "puppets.parquet")["body"].to_pylist() == ["human", "human"]


def test_alone_option_draws_no_objects_and_one_shot(tmp_path: Path) -> None:
    corpus = write_puppets(tmp_path, num_videos=6, seed=5, size_px=(64, 64), fps=4, seconds=1.0, alone=True)
    assert corpus.num_object_prompts == 0
    assert pq.read_table(tmp_path / "puppets.parquet").column("num_shots").to_pylist() == [1] * 6
    assert write_puppets(
        tmp_path / "others", num_videos=6, seed=5, size_px=(64, 64), fps=4, seconds=1.0
    ).num_object_prompts


def test_interacting_option_draws_humans_with_objects_in_one_shot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = ["--size", "48", "64", "--fps", "8", "--seconds", "1"]
    options = ["--videos", "8", "--seed", "5", "--held-out", "--interacting"]
    monkeypatch.setattr(sys, "argv", ["zoetrope", "puppets", str(tmp_path), *options, *size])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    rows = pq.read_table(tmp_path / "puppets.parquet").to_pylist()
    assert {(row["split"], row["body"], row["num_shots"]) for row in rows} == {("heldout", "human", 1)}
    assert len({row["interaction"] for row in rows}) > 2
    prompted = {row["video_id"] for row in pq.read_table(tmp_path / "objects.parquet").to_pylist()}
    assert prompted == {row["video_id"] for row in rows}
    for row in rows:
        spec = sample_interaction(row["seed"], split="heldout", size_px=(64, 48), duration_seconds=1.0)
        assert spec.interaction is not None
        shown = (spec.character.recipe, spec.motion.name, spec.interaction.kind)
        assert shown == (row["character"], row["motion"], row["interaction"])


def test_portraits_option_draws_talking_faces_and_their_twins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = ["--size", "72", "96", "--fps", "8", "--seconds", "0.5"]
    monkeypatch.setattr(sys, "argv", ["zoetrope", "puppets", str(tmp_path), "--videos", "2", "--portraits", *size])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    rows, twins = (pq.read_table(folder / "puppets.parquet").to_pylist() for folder in (tmp_path, tmp_path / "twins"))
    assert [row["video_id"] for row in rows] == [row["video_id"] for row in twins]
    for row, twin in zip(rows, twins, strict=True):
        spec = sample_portrait(row["seed"], body=row["body"], size_px=(96, 72), duration_seconds=0.5)
        assert (spec.character.recipe, spec.motion.name) == (row["character"], row["motion"])
        assert face_twin(spec, row["seed"]).character.recipe == twin["character"] != row["character"]
        truths = [read_truth(root / "truth" / f"{row['video_id']}.npz") for root in (tmp_path, tmp_path / "twins")]
        assert truths[0].frame_seconds.tolist() == truths[1].frame_seconds.tolist()
        assert (tmp_path / "twins" / twin["uri"]).stat().st_size
        for truth in truths:
            assert (truth.keypoints[:, 23:91, 2] > 0).all()


def test_scenery_option_draws_nobody(tmp_path: Path) -> None:
    write_puppets(tmp_path, num_videos=2, seed=3, num_processes=1, scenery=True, **SMALL)
    assert not (tmp_path / "twins").exists()
    for row in pq.read_table(tmp_path / "puppets.parquet").to_pylist():
        truth = read_truth(tmp_path / "truth" / f"{row['video_id']}.npz")
        assert not truth.character_mask.any()
        assert not truth.keypoints.any()
        spec = living_scene(row["seed"], size_px=(96, 72), duration_seconds=1.0)
        assert not spec.character_visible


def test_improvised_share_holds_for_every_body(tmp_path: Path) -> None:
    write_puppets(tmp_path, num_videos=16, seed=2, num_processes=1, improvised_share=0.5, **(SMALL | {"seconds": 0.25}))
    rows = pq.read_table(tmp_path / "puppets.parquet").to_pylist()
    improvised = [row for row in rows if row["motion"] == "improvise"]
    assert 3 <= len(improvised) <= 13
    assert {row["body"] for row in improvised} == {"human", "anthropomorphic"}
    spec = sample_spec(
        improvised[0]["seed"],
        body=improvised[0]["body"],
        size_px=(96, 72),
        duration_seconds=0.25,
        improvised=True,
    )
    assert spec.motion.name == "improvise"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_videos": 0}, "num_videos is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"improvised_share": 1.1}, "improvised_share is 1.1"),
        ({"size_px": (95, 72)}, "even numbers"),
        ({"seconds": 0.0}, "no frame"),
        ({"fps": -8.0, "seconds": -1.0}, "no frame"),
        ({"num_processes": 0}, "num_processes is 0"),
        ({"alone": True, "interacting": True}, "expected one of them"),
        ({"portraits": True, "scenery": True}, "portraits and scenery, expected one of them"),
        ({"improvised_share": 0.5, "portraits": True}, "expected 0 with portraits"),
        ({"body": "anthropomorphic", "interacting": True}, "body is 'anthropomorphic'"),
    ],
)
def test_invalid_numbers_are_named(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_puppets(tmp_path / "out", **{"num_videos": 1, "seed": 0, **SMALL, **options})
    assert not (tmp_path / "out").exists()
