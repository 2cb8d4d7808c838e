from __future__ import annotations

import os
import time
from pathlib import Path

import pyarrow as pa
import pytest
from toy import ledger_at

from pipelines.engine.damage import DamagedFileError
from pipelines.engine.orphans import Orphan, find_orphans, orphans_line, prune
from pipelines.engine.schema import dataset_schema

SCHEMA = dataset_schema("animate", pa.schema([("clip_id", pa.string())]), {"video_uri": pa.string()})


def test_only_files_of_no_row_are_deleted_and_young_ones_are_kept(tmp_path: Path) -> None:
    ledger = ledger_at(tmp_path)
    assert find_orphans(ledger) == []
    (tmp_path / "_videos").mkdir()
    for name in ("named.mp4", "old.mp4", "young.mp4", ".hidden.tmp"):
        (tmp_path / "_videos" / name).write_bytes(b"video")
    past = time.time() - 7200
    for name in ("named.mp4", "old.mp4"):
        os.utime(tmp_path / "_videos" / name, (past, past))
    row = {"clip_id": "a", "work_key": "k", "committed_at": 1, "video_uri": "_videos/named.mp4"}
    ledger.commit(row, SCHEMA)
    ledger.compact()
    orphans = find_orphans(ledger)
    assert orphans == [Orphan(name=f"_videos/{name}.mp4", size_bytes=5) for name in ("old", "young")]
    assert "2 files (0.0 MB)" in orphans_line(orphans, "here")
    assert prune(ledger.storage, orphans) == orphans[:1]
    assert {path.name for path in (tmp_path / "_videos").iterdir()} == {"named.mp4", "young.mp4", ".hidden.tmp"}


def test_nothing_is_an_orphan_while_a_data_file_is_damaged(tmp_path: Path) -> None:
    ledger = ledger_at(tmp_path)
    (tmp_path / "_videos").mkdir()
    (tmp_path / "_videos" / "a.mp4").write_bytes(b"video")
    (tmp_path / "rows-000000.parquet").write_bytes(b"")
    with pytest.raises(DamagedFileError):
        find_orphans(ledger)
