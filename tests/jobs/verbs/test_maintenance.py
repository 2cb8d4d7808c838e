"""`zoetrope compact` on datasets in a bad state, as a person calls it."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from toy import ROW_SCHEMA, commit_row, ledger_at

from jobs.cli.main import main
from pipelines.engine.compaction import ROWS_PER_GROUP


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("pipelines.engine.compaction._MAX_ROWS_PER_GROUP", ROWS_PER_GROUP)
    ledger = ledger_at(tmp_path)
    for number in range(2 * ROWS_PER_GROUP):
        commit_row(ledger, f"c{number:03d}", number, message=os.urandom(300).hex())
    ledger.compact()
    ledger.storage.publish("_jobs/last.json", json.dumps({"verb": "prepare"}).encode())
    ledger.storage.publish("_videos/orphan.mp4", bytes(2_000_000))
    past = time.time() - 7200
    os.utime(tmp_path / "_videos" / "orphan.mp4", (past, past))
    return tmp_path


def zoetrope(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["zoetrope", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_a_damaged_data_file_is_one_line_and_repaired(
    dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = dataset / "rows-000000.parquet"
    data = bytearray(file.read_bytes())
    columns = pq.read_metadata(file).row_group(0)
    message = columns.column(ROW_SCHEMA.get_field_index("message"))
    data[message.data_page_offset + message.total_compressed_size // 2] ^= 0xFF
    file.write_bytes(data)
    commit_row(ledger_at(dataset), "new", 1)
    assert zoetrope(monkeypatch, "compact", str(dataset)) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"error: {file} cannot be read")
    assert f"zoetrope compact {dataset} --repair" in line
    assert zoetrope(monkeypatch, "compact", str(dataset), "--repair") == 0
    printed = capsys.readouterr().out
    assert f"rows-000000.parquet: {ROWS_PER_GROUP} of {2 * ROWS_PER_GROUP} rows kept" in printed
    assert len(list(ledger_at(dataset).rows())) == ROWS_PER_GROUP + 1


def test_orphans_are_counted_and_deleted_when_asked(
    dataset: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert zoetrope(monkeypatch, "compact", str(dataset)) == 0
    assert "1 file (2.0 MB) in _videos/ belong to no row" in capsys.readouterr().out
    assert zoetrope(monkeypatch, "compact", str(dataset), "--prune") == 0
    assert "prune: 1 file (2.0 MB) deleted" in capsys.readouterr().out
    assert list((dataset / "_videos").iterdir()) == []


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff"])
def test_a_damaged_record_of_the_last_job_is_one_line(
    dataset: Path, damage: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (dataset / "_jobs" / "last.json").write_bytes(damage)
    assert zoetrope(monkeypatch, "compact", str(dataset)) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "last.json is damaged" in line
