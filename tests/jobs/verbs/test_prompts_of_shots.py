"""A prompt in one clip of a shot, through ingest and prepare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from small_jobs import Corpus, options, small_config

from jobs.engine.console import Console
from jobs.verbs.ingest import ingest
from jobs.verbs.prepare import prepare
from models.masks import rle

SHORT = ("ingest.cut.num_frames=6", "ingest.cut.min_frames=6", "prepare.decode.short_side_px=64")


def rows(dataset: Path) -> dict[str, dict[str, Any]]:
    return {row["clip_id"]: row for row in pq.read_table(sorted(dataset.glob("*.parquet"))).to_pylist()}


def test_a_prompt_masks_its_object_in_every_clip_of_the_shot(
    corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """First with prompts inside clips only, as earlier versions did; then clips that gain one are prepared again."""
    sources, prompts = str(corpus.puppets / "puppets.parquet"), str(corpus.puppets / "objects.parquet")
    clips, dataset = tmp_path / "clips", tmp_path / "prepared"

    def run(*settings: str) -> dict[str, Any]:
        config, how = small_config(*SHORT, *settings), options(tmp_path)
        ingest([sources], str(tmp_path), objects=prompts, config=config, options=how, console=Console())
        done = prepare(str(clips), str(dataset), config=config, options=how, console=Console(json_only=True))
        assert (done.exit_code, done.summary["failed"]) == (0, 0)
        return done.summary

    run("ingest.prompts.max_distance_seconds=0")
    printed = "".join(capsys.readouterr())
    assert "times a clip lacks an object of its shot, as the nearest prompt is more than 0 s away" in printed
    before, given = rows(dataset), rows(clips)
    summary = run()
    assert "lacks an object" not in "".join(capsys.readouterr())
    after = rows(dataset)
    changed = {name for name, row in rows(clips).items() if row["objects"] != given[name]["objects"]}
    assert 0 < summary["rows_run"] == len(changed) < len(after)
    for name, row in after.items():
        assert (row == before[name]) == (name not in changed)
        assert {each["object_id"] for each in row["object_masks"]} == {each["object_id"] for each in row["objects"]}
    masked = {name for name in changed for each in after[name]["object_masks"] if rle.decode(each["masks"]).any()}
    assert masked
