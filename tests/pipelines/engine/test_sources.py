from __future__ import annotations

import os
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.engine.columns import CORPUS_COLUMNS
from pipelines.engine.manifest import ManifestError
from pipelines.engine.sources import MAX_ID_CHARS, find_sources, joined_id, source_stamps
from stages.io.source import local_path

SCHEMES = ("file",)


def test_a_name_that_is_not_utf_8_is_listed_with_a_uri_that_opens(tmp_path: Path) -> None:
    names = [b"caf\xe9.mp4", b"plain.mp4", b"50%41.mp4"]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(name)
    table = find_sources([str(tmp_path)], SCHEMES)
    uris = table["uri"].to_pylist()
    assert {Path(local_path(uri)).read_bytes() for uri in uris} == set(names)
    assert all(source_stamps(uris, SCHEMES))
    assert [uri for uri in uris if uri.startswith("file://")] == [f"file://{tmp_path}/caf%E9.mp4"]
    assert len(set(table["video_id"].to_pylist())) == 3


def test_columns_of_lists_come_along(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("uri,caption,take\na.mp4,a dance,1\nb.mp4,,3b\n")
    pq.write_table(pa.table({"uri": ["c.mp4", "a.mp4"], "take": [7, 8]}), tmp_path / "b.parquet")
    (tmp_path / "d.mp4").write_bytes(b"d")
    patterns = [str(tmp_path / name) for name in ("a.csv", "b.parquet", "d.mp4")]
    table = find_sources(patterns, SCHEMES, reserved=CORPUS_COLUMNS)
    values = {row["uri"].rsplit("/", 1)[-1]: (row["caption"], row["take"]) for row in table.to_pylist()}
    assert values == {"a.mp4": (None, "8"), "b.mp4": (None, "3b"), "c.mp4": (None, "7"), "d.mp4": (None, None)}
    assert find_sources(patterns, SCHEMES).column_names == ["video_id", "uri", "source_stamp"]


@pytest.mark.parametrize("name", ["fingerprint", "status", "Attempts", "filename", "_committed", "keypoints"])
def test_a_reserved_column_of_a_list_is_refused_with_a_name_to_use(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.csv").write_text(f"uri,{name}\na.mp4,1\n")
    with pytest.raises(ManifestError, match=rf"columns \['{name}'\] have names that datasets reserve; rename .*'my_"):
        find_sources([str(tmp_path / "a.csv")], SCHEMES, reserved=CORPUS_COLUMNS)


def test_a_file_of_whole_seconds_is_stamped_anew_once_its_second_is_over(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"one")
    now = int(time.time())
    os.utime(path, (now, now))
    (young,) = source_stamps([str(path)], SCHEMES)
    os.utime(path, (now - 60, now - 60))
    (old,) = source_stamps([str(path)], SCHEMES)
    assert (young, old) == (f"3:{now}.0:recent", f"3:{now - 60}.0")


def test_joined_ids_stay_short_and_distinct() -> None:
    assert joined_id("a", "b") == "a.b"
    long = {joined_id("p" * 128, f"{number:05d}") for number in range(3)}
    assert len(long) == 3
    assert all(len(name) == MAX_ID_CHARS for name in long)
