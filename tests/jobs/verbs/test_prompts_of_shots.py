"""A prompt in one clip of a shot, through ingest and prepare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from small_jobs import Corpus, options, small_config

from jobs.engine.console import Console
from jobs.verbs.ingest import ingest
from jobs.verbs.prepare import prepare
from models.masks import rle
from pipelines.engine.ledger import Ledger
from stages.io.storage import Storage

SHORT = ("ingest.cut.num_frames=6", "ingest.cut.min_frames=6", "prepare.decode.short_side_px=64")


def rows(dataset: Path) -> dict[str, dict[str, Any]]:
    return {row["clip_id"]: row for row in pq.read_table(sorted(dataset.glob("*.parquet"))).to_pylist()}


def test_a_prompt_masks_its_object_in_every_clip_of_the_shot(corpus: Corpus, tmp_path: Path, capsys: Any) -> None:
    """First as earlier versions assigned prompts; then only clips that gain one are prepared again."""
    sources, prompts = str(corpus.puppets / "puppets.parquet"), str(corpus.puppets / "objects.parquet")
    clips, dataset = tmp_path / "clips", tmp_path / "prepared"

    def run(*settings: str) -> dict[str, Any]:
        config, how = small_config(*SHORT, *settings), options(tmp_path)
        ingest([sources], str(tmp_path), objects=prompts, config=config, options=how, console=Console())
        done = prepare(str(clips), str(dataset), config=config, options=how, console=Console(json_only=True))
        assert (done.exit_code, done.summary["failed"]) == (0, 0)
        return done.summary

    run("ingest.prompts.max_distance_seconds=0", "ingest.cut.stride_frames=6")
    before, table = rows(dataset), rows(clips)
    assert "times a clip lacks an object of its shot" in capsys.readouterr().out
    summary = run("ingest.cut.stride_frames=6")
    assert "lacks an object" not in capsys.readouterr().out
    after, changed = (
        rows(dataset),
        [name for name, row in rows(clips).items() if row["objects"] != table[name]["objects"]],
    )
    assert 0 < len(changed) < len(after)
    assert summary["rows_run"] == len(changed)
    for name, row in after.items():
        if name not in changed:
            assert row == before[name]
        assert {each["object_id"] for each in row["object_masks"]} == {each["object_id"] for each in row["objects"]}
    gained = {
        each["object_id"] for name in changed for each in after[name]["object_masks"] if rle.decode(each["masks"]).any()
    }
    assert gained
    assert Ledger(Storage(str(dataset)), "clip_id").data_names()
