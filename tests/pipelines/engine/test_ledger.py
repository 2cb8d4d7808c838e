from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine import compaction
from pipelines.engine.ledger import Ledger
from pipelines.engine.schema import dataset_schema
from stages.io.storage import Storage

SCHEMA = dataset_schema("toy", pa.schema([("clip_id", pa.string()), ("value", pa.int64())]), {})
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class CrashError(BaseException):
    """Simulates SIGKILL within the process: no handler catches it."""


class CrashingStorage(Storage):
    """Raises before the n-th change of the storage."""

    changes_left = 10**9

    def _change(self) -> None:
        if self.changes_left == 0:
            raise CrashError
        self.changes_left -= 1

    def publish(self, name: str, data: bytes) -> None:
        self._change()
        super().publish(name, data)

    def delete(self, name: str) -> None:
        self._change()
        super().delete(name)


def row(name: str, value: int, version: int) -> dict[str, object]:
    return {
        "clip_id": name,
        "value": value,
        "work_key": f"{name}-{version}",
        "status": "ok",
        "committed_at": EPOCH + timedelta(seconds=version),
    }


def read_by_plain_reader(root: Path) -> dict[str, int]:
    """Rows as read by a plain Parquet reader; fails on a duplicate id."""
    files = sorted(root.glob("*.parquet"))
    rows = [r for file in files for r in pq.read_table(file, columns=["clip_id", "value"]).to_pylist()]
    doubled = [name for name, count in Counter(r["clip_id"] for r in rows).items() if count > 1]
    assert not doubled
    return {r["clip_id"]: r["value"] for r in rows}


@settings(max_examples=60, deadline=None)
@given(
    rounds=st.lists(st.lists(st.integers(0, 7), max_size=6), min_size=1, max_size=4),
    crash_after=st.integers(0, 25),
    small_files=st.booleans(),
    group_size=st.integers(1, 4),
)
def test_compaction_killed_anywhere_loses_and_doubles_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    rounds: list[list[int]],
    crash_after: int,
    small_files: bool,
    group_size: int,
) -> None:
    root = tmp_path_factory.mktemp("ledger")
    num_rows = compaction.TARGET_FILE_ROWS
    compaction.TARGET_FILE_ROWS = 3 if small_files else num_rows
    try:
        storage = CrashingStorage(str(root))
        ledger = Ledger(storage, "clip_id")
        expected: dict[str, int] = {}
        visible: dict[str, int] = {}
        version = 0
        for number, ids in enumerate(rounds):
            group = []
            for i in ids:
                version += 1
                group.append(row(f"c{i}", version, version))
                expected[f"c{i}"] = version
            for start in range(0, len(group), group_size):
                if group_size == 1:
                    ledger.commit(group[start], SCHEMA)
                else:
                    ledger.commit_group(group[start : start + group_size], SCHEMA)
            last = number == len(rounds) - 1
            storage.changes_left = crash_after if last else 10**9
            try:
                ledger.compact()
            except CrashError:
                during = read_by_plain_reader(root)
                # Visible rows are committed rows, and rows visible before are still visible.
                assert visible.keys() <= during.keys() <= expected.keys()
            storage.changes_left = 10**9
            ledger.compact()
            visible = read_by_plain_reader(root)
        assert read_by_plain_reader(root) == expected
        assert ledger.part_names() == []
    finally:
        compaction.TARGET_FILE_ROWS = num_rows


def test_committing_the_same_work_twice_is_one_row(tmp_path: Path) -> None:
    ledger = Ledger(Storage(str(tmp_path)), "clip_id")
    ledger.commit(row("a", 1, 1), SCHEMA)
    ledger.commit(row("a", 1, 1), SCHEMA)
    stored = ledger.committed("a-1")
    assert stored is not None
    assert stored["value"] == 1
    assert ledger.committed("a-2") is None
    assert ledger.compact() == 1
    assert read_by_plain_reader(tmp_path) == {"a": 1}


def test_a_full_file_is_extended_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "TARGET_FILE_BYTES", 1)
    ledger = Ledger(Storage(str(tmp_path)), "clip_id")
    for version in range(3):
        ledger.commit(row(f"c{version}", version, version), SCHEMA)
        ledger.compact()
    assert len(ledger.data_names()) == 3


def test_row_groups_are_bounded_in_bytes() -> None:
    small = pa.table({"value": pa.array(range(100_000))})
    large = pa.table({"value": [b"x" * (1 << 20)] * 40})
    assert compaction.rows_per_group(small) == 4096
    assert compaction.rows_per_group(large) == 16


def test_files_fill_up_before_another_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "TARGET_FILE_ROWS", 9)
    ledger = Ledger(Storage(str(tmp_path)), "clip_id")
    for version in range(40):
        ledger.commit(row(f"c{version:03d}", version, version), SCHEMA)
        ledger.compact()
    assert len(ledger.data_names()) == 5
    assert len(read_by_plain_reader(tmp_path)) == 40
    stored = ledger.read_row(ledger.data_names()[0], "c003")
    assert stored is not None
    assert stored["value"] == 3


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
import pyarrow as pa
from pipelines.engine.ledger import Ledger
from pipelines.engine.schema import dataset_schema
from stages.io.storage import Storage

root, step = sys.argv[1], int(sys.argv[2])
count = 0
def killing(function):
    def call(*arguments, **options):
        global count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call

# The system calls of `publish`: a kill before each covers every step.
os.fsync = killing(os.fsync)
os.replace = killing(os.replace)
os.unlink = killing(os.unlink)
from pathlib import Path
Path.replace = killing(Path.replace)
Path.unlink = killing(Path.unlink)
Storage.delete = killing(Storage.delete)
schema = dataset_schema("toy", pa.schema([("clip_id", pa.string()), ("value", pa.int64())]), {})
ledger = Ledger(Storage(root), "clip_id")
ledger.storage.sweep_temporaries()
ledger.compact()
have = {r["clip_id"] for r in ledger.rows(["clip_id"])}
for i in range(4):
    if f"c{i}" not in have:
        row = {"clip_id": f"c{i}", "value": i, "work_key": f"k{i}", "status": "ok", "committed_at": datetime.now(UTC)}
        ledger.commit(row, schema)
    if i % 2:
        ledger.compact()
"""


def test_sigkill_at_every_commit_step_then_run_again(tmp_path: Path) -> None:
    expected = {f"c{i}": i for i in range(4)}
    killed = 0
    # One process per step, forked after the imports, so that fifty kills take seconds.
    for step in range(1, 200):
        root = tmp_path / f"step{step}"
        root.mkdir()
        pid = os.fork()
        if pid == 0:
            sys.argv = ["", str(root), str(step)]
            try:
                exec(compile(KILLED, "killed", "exec"), {"__name__": "killed"})
            finally:
                os._exit(0)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status):
            assert read_by_plain_reader(root) == expected
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        killed += 1
        read_by_plain_reader(root)
        again = Ledger(Storage(str(root)), "clip_id")
        again.storage.sweep_temporaries()
        again.compact()
        have = read_by_plain_reader(root)
        assert have == {name: value for name, value in expected.items() if name in have}
        for i in range(4):
            if f"c{i}" not in have:
                again.commit(row(f"c{i}", i, 1), SCHEMA)
        again.compact()
        assert read_by_plain_reader(root) == expected
        leftovers = [p.name for p in root.rglob("*") if p.name.endswith(".tmp") or p.parent.name == "_parts"]
        assert leftovers == []
    assert killed > 15


def test_a_full_disk_refuses_the_row_and_keeps_the_rest(tmp_path: Path) -> None:
    """Uses a real file system of 1 MiB."""
    mount = tmp_path / "small"
    mount.mkdir()
    mount_process = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)], capture_output=True, check=False
    )
    if mount_process.returncode != 0:
        pytest.skip(f"cannot mount a small file system here: {mount_process.stderr.decode().strip()}")
    try:
        ledger = Ledger(Storage(str(mount)), "clip_id")
        ledger.commit(row("first", 1, 1), SCHEMA)
        (mount / "filler").write_bytes(b"\0" * (900 << 10))

        def fill() -> None:
            for version in range(100):
                ledger.commit(row(f"c{version:03d}", version, version), SCHEMA)

        with pytest.raises(OSError, match="No space left"):
            fill()
        committed = len(ledger.part_names())
        assert not list(mount.rglob("*.tmp"))
        (mount / "filler").unlink()
        ledger.compact()
        assert len(read_by_plain_reader(mount)) == committed
    finally:
        subprocess.run(["umount", str(mount)], check=True)
