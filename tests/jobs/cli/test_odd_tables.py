"""Tables that no job can use: one line that names the fault, before the first row."""

from __future__ import annotations

import io
import math
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_jobs import PUPPETS

from jobs.cli.main import main
from pipelines.engine.schema import CLIP_COLUMNS, REQUEST_COLUMNS

CLIP: dict[str, Any] = {
    **dict.fromkeys(CLIP_COLUMNS),
    "clip_id": "a",
    "uri": "/a.mp4",
    "fingerprint": "sha256:0",
    "width_px": 64,
    "height_px": 64,
    "fps": 12.0,
    "start_seconds": 0.0,
    "num_frames": 8,
    "frame_step": 1,
}
REQUEST: dict[str, Any] = {
    **dict.fromkeys(REQUEST_COLUMNS),
    "request_id": "a",
    "reference_uri": "/a.png",
    "driving_uri": "/a.mp4",
}
NOT_UTF8 = pa.Array.from_buffers(pa.string(), 1, pa.array([b"/\xff\xfe.mp4"], pa.binary()).buffers())


def parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def clips(**columns: Any) -> bytes:
    """A table of one clip with some columns replaced by values or arrays of Arrow."""
    table = pa.Table.from_pylist([CLIP], schema=pa.schema(list(CLIP_COLUMNS.items())))
    for name, value in columns.items():
        array = value if isinstance(value, pa.Array) else pa.array([value])
        table = table.set_column(table.column_names.index(name), name, array)
    return parquet(table)


def requests(**columns: Any) -> bytes:
    table = pa.Table.from_pylist([REQUEST], schema=pa.schema(list(REQUEST_COLUMNS.items())))
    for name, value in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array([value]))
    return parquet(table)


IDS = ("..", ".", "a/b", "a\0b", "é", "a" * 10_000, "", "a b", "a\n", "a'b", "a;drop")
TABLES = [
    *(pytest.param("c.parquet", clips(clip_id=name), "clip_id", id=f"id {name[:9]!r}") for name in IDS),
    *(
        pytest.param("c.parquet", clips(**{name: None}), name, id=f"null {name}")
        for name in ("clip_id", "uri", "fps", "start_seconds", "num_frames", "frame_step", "fingerprint", "width_px")
    ),
    *(
        pytest.param("c.parquet", clips(**{name: value}), f"column '{name}'", id=f"{name} {value!r}")
        for name, value in {
            "num_frames": "ten",
            "width_px": 2**31,
            "height_px": 10**18,
            "fps": "fast",
            "start_seconds": [1.0],
            "size_bytes": {"a": 1},
            "objects": "ball",
        }.items()
    ),
    pytest.param("c.parquet", clips(objects=[7]), "c.parquet", id="objects [7]"),
    pytest.param("c.parquet", clips(uri=NOT_UTF8), "c.parquet", id="uri that is not UTF-8"),
    pytest.param("c.parquet", clips(clip_id=NOT_UTF8), "c.parquet", id="id that is not UTF-8"),
    pytest.param("c.parquet", parquet(pa.table({"clip_id": ["a"]})), "lacks the columns", id="one column"),
    pytest.param("c.parquet", parquet(pa.table({})), "c.parquet", id="no column"),
    pytest.param("c.parquet", clips()[:-50], "c.parquet", id="cut"),
    pytest.param("c.parquet", b"PAR1" + b"x" * 100 + b"PAR1", "c.parquet", id="garbage"),
    pytest.param("c.parquet", b"", "c.parquet", id="empty"),
    pytest.param("c.csv", b"", "c.csv", id="empty CSV"),
    pytest.param("c.csv", b"\0\1\2" * 100, "c.csv", id="garbage CSV"),
    pytest.param("c.csv", "clip_id,uri\na,b\n".encode("utf-16"), "c.csv", id="UTF-16"),
    pytest.param("c.csv", b'clip_id,uri\na,b,c,d\n"open', "c.csv", id="ragged CSV"),
    pytest.param("c.txt", b"x", "neither .parquet nor .csv", id="text"),
    pytest.param("r.parquet", requests(objects=[7]), "r.parquet", id="request objects [7]"),
    *(
        pytest.param("r.parquet", requests(**{name: value}), name, id=f"request {name} {value!r}")
        for name, value in {
            "width_px": 2**31,
            "seed": "many",
            "keep_objects": "perhaps",
            "guidance_scale": [1.0],
            "request_id": "../a",
            "reference_uri": None,
            "start_seconds": "1 s",
        }.items()
    ),
]


@pytest.mark.parametrize(("name", "content", "named"), TABLES)
def test_each_odd_table_is_one_line(
    name: str,
    content: bytes,
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content)
    verb = "animate" if name.startswith("r") else "prepare"
    monkeypatch.setattr(sys, "argv", ["zoetrope", verb, name, "--out", "out", *PUPPETS, "--dry-run"])
    with pytest.raises(SystemExit) as ended:
        main()
    err = capsys.readouterr().err
    assert ended.value.code == 2
    assert "Traceback" not in err
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert named in lines[0]
    assert len(lines[0]) < 600


def test_odd_values_of_a_valid_type_are_left_to_their_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    odd = [{"start_seconds": 1e300}, {"fps": math.nan}, {"fps": 5e-324}, {"uri": "http://["}, {"width_px": 0}]
    rows = [{**CLIP, "clip_id": f"c{number}", **changes} for number, changes in enumerate(odd)]
    Path("c.parquet").write_bytes(parquet(pa.Table.from_pylist(rows, schema=pa.schema(list(CLIP_COLUMNS.items())))))
    monkeypatch.setattr(sys, "argv", ["zoetrope", "prepare", "c.parquet", "--out", "out", *PUPPETS, "--dry-run"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0, capsys.readouterr().err
