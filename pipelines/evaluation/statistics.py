"""Fréchet statistics of the features of a dataset: one file per data file and measure, merged as a tree.

A file `_statistics/<digest>.parquet` holds n, Σx and the upper triangle of Σxxᵀ, in float64, for each model, setting
and side (animations, truth). The digest names the rows and the network that it was computed from: a killed job goes on
with the files that are missing, and a changed data file or a new measure computes its own only.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.metrics.frechet import FrechetStatistics
from pipelines.engine.compaction import ROWS_PER_GROUP
from pipelines.engine.keys import digest
from pipelines.engine.ledger import Ledger
from pipelines.engine.tables import publish_table
from stages.evaluate.features import feature_columns
from stages.io.storage import Storage

STATISTICS = "_statistics"
SIDES = ("animation", "truth")

_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("setting", pa.string()),
        ("side", pa.string()),
        ("n", pa.int64()),
        ("total", pa.list_(pa.float64())),
        ("outer", pa.list_(pa.float64())),
    ]
)

Group = tuple[str, str]
"""Model and setting."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CountedRows:
    """Rows of one data file that count.

    `groups`: model and setting by id. `key`: key of everything that the features depend on, except the network.
    """

    data_name: str
    groups: dict[str, Group]
    key: str


def counted_rows(connection: duckdb.DuckDBPyConnection, current: str) -> Iterator[CountedRows]:
    """Rows of each data file, of a SQL relation with the columns `animation_id, inputs, model, setting, filename`."""
    names = connection.execute(f"SELECT DISTINCT filename FROM {current} ORDER BY 1").fetchall()  # noqa: S608
    for (path,) in names:
        rows = connection.execute(
            f"SELECT animation_id, inputs, model, setting FROM {current} WHERE filename = ? ORDER BY 1",  # noqa: S608
            [path],
        ).fetchall()
        yield CountedRows(
            data_name=str(path).rsplit("/", 1)[-1],
            groups={row_id: (model, setting) for row_id, _, model, setting in rows},
            key=digest(rows),
        )


class Statistics:
    """Statistics of one dataset.

    Args:
        ledger: the compacted dataset.
        files: its data files with the rows that count.
        stage_keys: key of the stage of each measure, by measure.
    """

    def __init__(self, ledger: Ledger, files: Sequence[CountedRows], stage_keys: dict[str, str]) -> None:
        self.storage: Storage = ledger.storage
        self.names = {
            measure: [f"{STATISTICS}/{digest([measure, key, rows.key])}.parquet" for rows in files]
            for measure, key in stage_keys.items()
        }
        self.files = tuple(files)

    def update(self) -> int:
        """Compute the files that are missing and delete those that are stale; returns how many were computed.

        Raises:
            OSError: the storage refuses a file.
        """
        present = set(self.storage.names(STATISTICS, ".parquet"))
        computed = 0
        for measure, names in self.names.items():
            for rows, name in zip(self.files, names, strict=True):
                if name not in present:
                    # One statistic per row group: reading those of a model reads no others.
                    publish_table(self.storage, name, self._table(measure, rows), row_group_size=1)
                    computed += 1
        for name in present - {name for names in self.names.values() for name in names}:
            self.storage.delete(name)
        return computed

    def merged(self, measure: str, group: Group, side: str) -> FrechetStatistics | None:
        """Statistics of all features of one side; None if there are none."""
        return merged_tree(
            statistic
            for name in self.names[measure]
            if (statistic := _read(self.storage, name, group, side)) is not None
        )

    def _table(self, measure: str, rows: CountedRows) -> pa.Table:
        columns = dict(zip(SIDES, feature_columns(measure), strict=True))
        sums: dict[tuple[Group, str], FrechetStatistics] = {}
        for key, features in _features(self.storage, rows, columns):
            statistic = FrechetStatistics.of(features)
            sums[key] = sums[key].merge(statistic) if key in sums else statistic
        entries = [
            {
                "model": model,
                "setting": setting,
                "side": side,
                "n": statistic.n,
                "total": statistic.total,
                "outer": statistic.outer[np.triu_indices(len(statistic.total))],
            }
            for ((model, setting), side), statistic in sorted(sums.items(), key=lambda item: item[0])
        ]
        return pa.Table.from_pylist(entries, schema=_SCHEMA)


def merged_tree(statistics: Iterable[FrechetStatistics]) -> FrechetStatistics | None:
    """The sum of statistics, added in pairs as a balanced tree; holds one per level."""
    levels: list[FrechetStatistics | None] = []
    for statistic in statistics:
        carried: FrechetStatistics = statistic
        for level, waiting in enumerate(levels):
            if waiting is None:
                levels[level] = carried
                break
            carried, levels[level] = waiting.merge(carried), None
        else:
            levels.append(carried)
    total: FrechetStatistics | None = None
    for waiting in levels:
        if waiting is not None:
            total = waiting if total is None else waiting.merge(total)
    return total


def _features(
    storage: Storage, rows: CountedRows, columns: dict[str, str]
) -> Iterator[tuple[tuple[Group, str], NDArray[np.float32]]]:
    """Features (N, D) of each group and side, with one row group of the data file in memory at a time."""
    with storage.fs.open(storage.path(rows.data_name), "rb") as handle, pq.ParquetFile(handle) as file:
        if not set(columns.values()) <= set(file.schema_arrow.names):
            return
        for batch in file.iter_batches(batch_size=ROWS_PER_GROUP, columns=["animation_id", *columns.values()]):
            found: dict[tuple[Group, str], list[NDArray[np.float32]]] = {}
            for index, row_id in enumerate(batch.column("animation_id").to_pylist()):
                for side, column in columns.items() if row_id in rows.groups else ():
                    features = batch.column(column)[index].values
                    if features is not None and len(features):
                        numbers = features.flatten().to_numpy(zero_copy_only=False)
                        found.setdefault((rows.groups[row_id], side), []).append(numbers.reshape(len(features), -1))
            for key, parts in found.items():
                yield key, np.concatenate(parts)


def _read(storage: Storage, name: str, group: Group, side: str) -> FrechetStatistics | None:
    model, setting = group
    filters = [("model", "=", model), ("setting", "=", setting), ("side", "=", side)]
    table = pq.read_table(io.BytesIO(storage.read(name)), filters=filters)
    if not table.num_rows:
        return None
    total = np.asarray(table.column("total")[0].values, dtype=np.float64)
    upper = np.zeros((len(total), len(total)))
    upper[np.triu_indices(len(total))] = np.asarray(table.column("outer")[0].values, dtype=np.float64)
    outer = upper + np.triu(upper, 1).T
    return FrechetStatistics(n=table.column("n")[0].as_py(), total=total, outer=outer)
