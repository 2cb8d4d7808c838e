"""Jobs on a corpus of damaged, unusual and hostile files."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import hostile_media as media
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_jobs import options, small_config

from jobs.engine.console import Console
from jobs.engine.spec import JobResult
from jobs.verbs.ingest import ingest
from jobs.verbs.prepare import prepare
from pipelines.prepare import steps
from stages.outcome import Reason

NUM_MUTATED = 12
REASONS = frozenset(reason.value for reason in Reason)
OURS = frozenset({"UnexpectedError", "Crash", "Timeout", "OutOfMemory", "InvalidRow"})
"""Reasons that no file may cause: they would be bugs."""


def rows_of(dataset: Path, id_column: str) -> dict[str, dict[str, Any]]:
    columns = [id_column, "status", "stage", "reason", "message"]
    table_rows = pq.read_table(dataset, columns=columns).to_pylist()
    assert len({row[id_column] for row in table_rows}) == len(table_rows)
    return {row[id_column]: row for row in table_rows}


def check_account(result: JobResult, rows: dict[str, dict[str, Any]], num_rows: int) -> None:
    """Every row occurs once, with an outcome, and the closing line agrees with the dataset."""
    summary = result.summary
    assert (result.exit_code, summary["error"]) == (0, None)
    assert summary["rows"] == summary["ok"] + summary["rejected"] + summary["failed"] == len(rows) == num_rows
    statuses = collections.Counter(row["status"] for row in rows.values())
    assert statuses == +collections.Counter({name: summary[name] for name in ("ok", "rejected", "failed")})
    for row in rows.values():
        if row["status"] == "ok":
            assert row["reason"] is None
        else:
            assert row["reason"] in REASONS - OURS, row
            assert row["stage"]
            assert row["message"]


def end_of(row: dict[str, Any]) -> str:
    """`ok` or the reason; rejected rows count as `ok`, because they were readable."""
    return str(row["reason"]) if row["status"] == "failed" else "ok"


# Only `decode` reads files; the networks after it take a minute.
@pytest.mark.parametrize(
    "num_stages", [pytest.param(1, id="decode"), pytest.param(None, id="all", marks=pytest.mark.nightly)]
)
@pytest.mark.slow
def test_each_file_ends_as_one_row_with_its_reason(
    ray_cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_stages: int | None
) -> None:
    monkeypatch.setattr("jobs.verbs.prepare.steps", lambda *arguments: steps(*arguments)[:num_stages])
    (tmp_path / "media").mkdir()
    cases = media.cases(tmp_path / "media")
    expected = {case.name: case.expected for case in cases}
    uris = {case.name: str(case.path) for case in cases}
    sound = next(case.path for case in cases if case.name == "faststart").read_bytes()
    for seed in range(NUM_MUTATED):
        path = tmp_path / f"mutated_{seed}.mp4"
        path.write_bytes(media.mutate(sound, seed))
        uris[path.stem], expected[path.stem] = str(path), REASONS | {"ok"}
    pq.write_table(pa.table({"video_id": list(uris), "uri": list(uris.values())}), tmp_path / "list.parquet")

    # One clip with all frames of a file, so that any damage is detected.
    cut = ("ingest.cut.min_frames=2", "ingest.cut.num_frames=100", "ingest.cut.target_fps=1000")
    config = small_config(*cut, "prepare.decode.short_side_px=64", "limits.row_timeout_seconds=60")
    how, quiet = options(tmp_path, max_failed="100%"), Console(json_only=True)
    ingested = ingest(
        [str(tmp_path / "list.parquet")], str(tmp_path), objects=None, config=config, options=how, console=quiet
    )
    videos = rows_of(tmp_path / "videos", "video_id")
    check_account(ingested, videos, len(uris))

    num_clips = pq.read_table(tmp_path / "clips").num_rows
    prepared = prepare(str(tmp_path / "clips"), str(tmp_path / "prepared"), config=config, options=how, console=quiet)
    clips = rows_of(tmp_path / "prepared", "clip_id")
    check_account(prepared, clips, num_clips)

    fate = {name: end_of(row) for name, row in videos.items()}
    for clip_id, row in clips.items():
        video_id = clip_id.rsplit(".", 1)[0]
        fate[video_id] = end_of(row) if fate[video_id] == "ok" else fate[video_id]
    assert {name: end for name, end in fate.items() if end not in expected[name]} == {}

    again = prepare(str(tmp_path / "clips"), str(tmp_path / "prepared"), config=config, options=how, console=quiet)
    assert (again.exit_code, again.summary["rows_run"]) == (0, 0)
