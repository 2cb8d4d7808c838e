"""A dataset of `evaluate` with given features and measures, committed without a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.engine.ledger import Ledger
from pipelines.engine.manifest import Manifest, columns_of
from pipelines.engine.rows import to_table
from pipelines.engine.schema import COMPARED_COLUMNS, PAIR_COLUMNS, STAMPED_PAIR_COLUMNS, dataset_schema
from pipelines.engine.tables import publish_table
from stages.io.storage import Storage

PAIRS = "_jobs/pairs.parquet"
PIPELINE = "current"
_TYPES = {**PAIR_COLUMNS, **STAMPED_PAIR_COLUMNS}


def features(rng: np.random.Generator, num: int, dimensions: int = 5) -> NDArray[np.float32]:
    """(N, D) correlated features."""
    mixing = np.random.default_rng(99).normal(size=(dimensions, dimensions))
    return (rng.normal(size=(num, dimensions)) @ mixing + 3).astype(np.float32)


def compared_rows(count: int, *, models: Sequence[str] = ("m",), seed: int = 0) -> list[dict[str, Any]]:
    """Rows of `count` animations with features and measures."""
    rng = np.random.default_rng(seed)
    return [
        {
            "animation_id": f"a{index:03d}",
            "model": models[index % len(models)],
            "setting": "default",
            "animation_stamp": "1",
            "status": "ok",
            "psnr_db": float(rng.normal(20, 2)),
            "flicker": float(rng.uniform()),
            "flicker_truth": float(rng.uniform()),
            "fid_features": features(rng, int(rng.integers(1, 6))),
            "fid_truth_features": features(rng, int(rng.integers(1, 6))) * 1.1,
        }
        for index in range(count)
    ]


def write_dataset(root: Path, rows: Sequence[Mapping[str, Any]], *, files: int = 1) -> Ledger:
    """Commit rows as one pipeline's, in `files` data files in the order given, and write the pairs."""
    ledger = Ledger(Storage(str(root)), "animation_id")
    schema = dataset_schema("evaluate", pa.schema(list(_TYPES.items())), COMPARED_COLUMNS)
    size = -(-len(rows) // files)
    for number in range(files):
        part = [_committed(row) for row in rows[number * size : (number + 1) * size]]
        tables = [to_table(row, schema) for row in part]
        if tables:
            publish_table(ledger.storage, f"rows-{number:06d}.parquet", pa.concat_tables(tables), row_group_size=16)
    write_pairs(ledger.storage, rows)
    return ledger


def write_pairs(storage: Storage, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the manifest of these rows."""
    entries = [{name: row.get(name) for name in _TYPES} for row in rows]
    publish_table(storage, PAIRS, pa.Table.from_pylist(entries, schema=pa.schema(list(_TYPES.items()))))


def manifest(ledger: Ledger) -> Manifest:
    """The pairs."""
    return Manifest(
        url=ledger.storage.url_of(PAIRS),
        id_column="animation_id",
        required=columns_of(PAIR_COLUMNS, ("animation_id",)),
        optional={name: kind for name, kind in _TYPES.items() if name != "animation_id"},
    )


def _committed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"work_key": row["animation_id"], "pipeline_key": PIPELINE, "committed_at": datetime.now(UTC), **row}
