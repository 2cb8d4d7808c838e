from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from toy import ROW_SCHEMA, ledger_at
from toy import commit_row as commit

from pipelines.engine.damage import DAMAGED, DamagedFileError, read_file, repair
from pipelines.engine.ledger import ROWS_PER_GROUP, Ledger

DAMAGE = {
    "cut": lambda data: data[:-40],
    "empty": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
    "garbage": lambda data: b"not a table",
}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = ledger_at(tmp_path)
    for number in range(3 * ROWS_PER_GROUP):
        commit(ledger, f"c{number:03d}", number, message=os.urandom(300).hex())
    ledger.compact()
    return ledger


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_part_is_set_aside_and_its_row_runs_again(ledger: Ledger, tmp_path: Path, damage: str) -> None:
    commit(ledger, "hurt", 1)
    commit(ledger, "whole", 1)
    part = tmp_path / "_parts" / "hurt-1.parquet"
    part.write_bytes(DAMAGE[damage](part.read_bytes()))
    assert ledger.committed("hurt-1") is None
    assert ledger.compact() == 1
    assert {row["clip_id"] for row in ledger.rows(["clip_id"])} >= {"whole", "c000"}
    assert [path.name for path in (tmp_path / DAMAGED).iterdir()] == ["hurt-1.parquet"]
    assert ledger.part_names() == []


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_data_file_is_named_with_the_way_on(ledger: Ledger, tmp_path: Path, damage: str) -> None:
    file = tmp_path / "rows-000000.parquet"
    file.write_bytes(DAMAGE[damage](file.read_bytes()))
    expected = rf"rows-000000.parquet cannot be read .*zoetrope compact {tmp_path} --repair"
    with duckdb.connect() as connection, pytest.raises(DamagedFileError, match=expected):
        ledger.relation(connection)
    with pytest.raises(DamagedFileError, match=expected):
        ledger.compact()
    (repaired,) = repair(ledger.storage, ledger.data_names())
    assert (repaired.num_kept, repaired.num_rows) == (0, None)
    assert (tmp_path / DAMAGED / "rows-000000.parquet").exists()
    commit(ledger, "again", 1)
    assert ledger.compact() == 1


def test_repair_keeps_the_rows_of_intact_row_groups(ledger: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "rows-000000.parquet"
    before = list(ledger.rows())
    data = bytearray(file.read_bytes())
    columns = pq.read_metadata(file).row_group(1)
    message = columns.column(ROW_SCHEMA.get_field_index("message"))
    data[message.data_page_offset + message.total_compressed_size // 2] ^= 0xFF
    file.write_bytes(data)
    commit(ledger, "new", 1)
    with pytest.raises(DamagedFileError):
        ledger.compact()
    (repaired,) = repair(ledger.storage, ledger.data_names())
    assert (repaired.num_kept, repaired.num_rows) == (2 * ROWS_PER_GROUP, 3 * ROWS_PER_GROUP)
    ledger.compact()
    kept = {row["clip_id"]: row for row in ledger.rows()}
    intact = before[:ROWS_PER_GROUP] + before[2 * ROWS_PER_GROUP :]
    assert kept.keys() == {row["clip_id"] for row in intact} | {"new"}
    assert all(kept[row["clip_id"]] == row for row in before if row["clip_id"] in kept)
    assert repair(ledger.storage, ledger.data_names()) == []


def test_no_changed_byte_of_the_values_changes_a_row_unnoticed(ledger: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "rows-000000.parquet"
    data = file.read_bytes()
    whole = read_file(ledger.storage, file.name)
    noticed = 0
    values = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for place in range(4, values, 211):
        file.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        try:
            assert read_file(ledger.storage, file.name).equals(whole)
        except DamagedFileError:
            noticed += 1
    assert noticed > len(range(4, values, 211)) // 2
