from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.engine.manifest import Manifest, ManifestError, columns_of
from pipelines.engine.schema import CLIP_COLUMNS

REQUIRED = {"clip_id": pa.string(), "start_seconds": pa.float64(), "num_frames": pa.int32()}
OPTIONAL = columns_of(CLIP_COLUMNS, ["objects"])


def manifest(url: object) -> Manifest:
    return Manifest(url=str(url), id_column="clip_id", required=REQUIRED, optional=OPTIONAL)


def write(path: Path, **changes: Any) -> Path:
    columns: dict[str, Any] = {"clip_id": ["a", "b"], "start_seconds": [0.0, 1.0], "num_frames": [8, 8]}
    columns.update(changes)
    pq.write_table(pa.table({name: value for name, value in columns.items() if value is not None}), path)
    return path


def rows(url: object) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        relation = manifest(url).relation(connection)
        manifest(url).check_ids(connection, relation, relation)
        table_rows: list[dict[str, Any]] = (
            connection.sql(f"SELECT * FROM {relation} ORDER BY clip_id").to_arrow_table().to_pylist()
        )
        return table_rows


def test_values_are_converted_and_other_columns_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", num_frames=pa.array([8, 9], pa.int64()), note=["x", "y"])
    assert rows(path)[1] == {"clip_id": "b", "start_seconds": 1.0, "num_frames": 9, "objects": None, "note": "y"}


def test_csv_and_folders_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("clip_id,start_seconds,num_frames\na,0.5,8\n")
    assert rows(tmp_path / "m.csv")[0]["start_seconds"] == 0.5
    folder = tmp_path / "clips"
    folder.mkdir()
    write(folder / "rows-000000.parquet")
    write(folder / "_hidden.parquet", clip_id=["a", "a"])
    assert [row["clip_id"] for row in rows(folder)] == ["a", "b"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clip_id": ["a", "a"]}, r"clip_id must be unique, got a \(2 times\)"),
        ({"clip_id": ["a", "../b"]}, r"clip_id '../b' is not allowed; an id is 1 to 128 letters"),
        ({"clip_id": ["a", ".."]}, r"clip_id '..' is not allowed"),
        ({"clip_id": ["a", "b\0c"]}, r"clip_id 'b\\x00c' is not allowed"),
        ({"clip_id": ["a", "b\n"]}, r"is not allowed"),
        ({"clip_id": ["a", "é"]}, r"clip_id 'é' is not allowed"),
        ({"clip_id": ["a", "x" * 10_000]}, r"clip_id 'x{60}' is not allowed"),
        ({"clip_id": ["a", ""]}, r"clip_id '' is not allowed"),
        ({"clip_id": ["a", None]}, r"a row has no clip_id"),
        ({"start_seconds": [0.0, None]}, r"a row has no start_seconds"),
        ({"num_frames": ["8", "many"]}, r"column 'num_frames' holds 'many', expected INTEGER"),
        ({"num_frames": [8, 2**40]}, r"column 'num_frames' holds '1099511627776', expected INTEGER"),
        ({"num_frames": [[8], [9]]}, r"column 'num_frames' holds '\[8\]', expected INTEGER"),
        ({"num_frames": None}, r"lacks the columns \['num_frames'\]; it has \['clip_id', 'start_seconds'\]"),
        (
            {
                "clip_id": pa.array([], pa.string()),
                "start_seconds": pa.array([], pa.float64()),
                "num_frames": pa.array([], pa.int32()),
            },
            "has no rows",
        ),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, changes: Any, message: str) -> None:
    path = write(tmp_path / "m.parquet", **changes)
    with pytest.raises(ManifestError, match=message) as caught:
        rows(path)
    assert "\n" not in str(caught.value)


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="does not exist; expected a Parquet or CSV file"):
        rows(tmp_path / "missing.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(ManifestError, match="cannot be read as a table"):
        rows(tmp_path / "broken.parquet")
    (tmp_path / "m.txt").write_text("clip_id")
    with pytest.raises(ManifestError, match=r"is neither \.parquet nor \.csv"):
        rows(tmp_path / "m.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match=r"holds no \*.parquet file"):
        rows(tmp_path / "empty")
