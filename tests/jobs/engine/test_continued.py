"""Resume never changes networks because a default is another one than when the dataset was made."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from small_jobs import PUPPETS, Corpus
from stand_in_weights import fill, forget_digests

from jobs.cli.main import main


@pytest.fixture
def dataset(corpus: Corpus, tmp_path: Path) -> Path:
    """A copy of a dataset that the networks of puppets made."""
    return Path(shutil.copytree(corpus.dataset, tmp_path / "prepared"))


def prepare(
    corpus: Corpus,
    dataset: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *options: str,
) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a dry run."""
    small = ("--set", "prepare.decode.short_side_px=128", "--dry-run")
    monkeypatch.setattr(
        sys, "argv", ["zoetrope", "prepare", str(corpus.clips), "--out", str(dataset), *options, *small]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.mark.parametrize("recorded", ["as it is", "without the last job", "cut short"])
def test_another_default_is_one_line_that_names_both_ways_on(
    recorded: str, corpus: Corpus, dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    last = dataset / "_jobs" / "last.json"
    if recorded == "without the last job":
        last.unlink()
    elif recorded == "cut short":
        last.write_bytes(last.read_bytes()[:50])
    code, _, err = prepare(corpus, dataset, monkeypatch, capsys)
    assert (code, err.count("\n")) == (2, 1)
    assert "pose by embedded, now people, depth by embedded, now people, character_mask by embedded, now people" in err
    assert "to go on as before, --preset puppets; to make them again, --preset people" in err


def test_named_networks_go_on_or_make_the_rows_again(
    corpus: Corpus, dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    num_rows = corpus.prepared.summary["rows"]
    code, out, _ = prepare(corpus, dataset, monkeypatch, capsys, *PUPPETS)
    assert (code, f"{num_rows} done before, 0 to do" in out) == (0, True)

    forget_digests(monkeypatch)
    fill(tmp_path / "weights", ["people"])
    people = ("--preset", "people", "--weights", str(tmp_path / "weights"))
    code, out, _ = prepare(corpus, dataset, monkeypatch, capsys, *people)
    assert (code, f"0 done before, {num_rows} to do" in out) == (0, True)
    assert "stale by pose, in " in out
    assert 'backend: "embedded" → "people"' in out

    # A section alone names its network, and no other.
    pose = ("--set", "prepare.pose.backend=embedded")
    code, _, err = prepare(corpus, dataset, monkeypatch, capsys, *pose)
    assert code == 2
    assert "(depth by embedded, now people, character_mask by embedded, now people)" in err


def test_networks_of_no_preset_are_named_section_by_section(
    corpus: Corpus, dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    last, stages = dataset / "_jobs" / "last.json", dataset / "_jobs" / "stages.json"
    last.unlink()
    known = json.loads(stages.read_text())
    for one in known.values():
        if "weights of embedded-depth" in one:
            one["backend"] = "sapiens"
    stages.write_text(json.dumps(known))
    _, _, err = prepare(corpus, dataset, monkeypatch, capsys)
    assert "--set prepare.pose.backend=embedded --set prepare.depth.backend=sapiens" in err


def test_a_trained_network_of_the_last_job_is_named_where_nobody_names_one(
    corpus: Corpus, dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Object masks have the same backend by default, but another network."""
    last = dataset / "_jobs" / "last.json"
    record = json.loads(last.read_text())
    record["config"]["prepare"]["object_masks"]["model"] = "/nets/mine"
    last.write_text(json.dumps(record))
    others = [
        word for name in ("pose", "depth", "character_mask") for word in ("--set", f"prepare.{name}.backend=embedded")
    ]
    code, _, err = prepare(corpus, dataset, monkeypatch, capsys, *others)
    assert (code, err.count("\n")) == (2, 1)
    assert "(object_masks by embedded@/nets/mine, now embedded)" in err
    assert "to go on as before, --set prepare.object_masks.model=/nets/mine; to make them again, --preset" in err


def test_a_new_dataset_takes_the_default(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    forget_digests(monkeypatch)
    fill(tmp_path / "weights", ["people"])
    code, out, _ = prepare(corpus, tmp_path / "new", monkeypatch, capsys, "--weights", str(tmp_path / "weights"))
    assert (code, "0 done before" in out) == (0, True)
