"""Tables of an evaluation: one per model and setting, over all its animations."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.metrics.bootstrap import bootstrap_interval
from models.metrics.frechet import FrechetStatistics, frechet_distance
from models.metrics.measures import MEASURES, SET_MEASURES, SetMeasure
from pipelines.engine.ledger import Ledger
from pipelines.engine.manifest import Manifest
from pipelines.engine.plan import MEMORY_LIMIT
from pipelines.engine.tables import column_names, publish_table
from pipelines.evaluation.statistics import SIDES, Group, Statistics, counted_rows
from pipelines.evaluation.steps import KEY_COLUMNS
from stages.outcome import Status

TABLES = "_tables"
PARQUET, CSV = f"{TABLES}/measures.parquet", f"{TABLES}/measures.csv"
BOOTSTRAP_SEED = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredValue:
    """A line of a table: a measure over the animations of a model.

    Args:
        name: key in `MEASURES` or `SET_MEASURES`.
        n: number of animations with a value; of a Fréchet distance, the smaller number of features of the two sides.
        value: mean over these animations, or the Fréchet distance; None if it cannot be computed, see `note`.
        ci_low, ci_high: 95% bootstrap interval of the mean over animations; None for a Fréchet distance and for fewer
            than two animations.
        truth_value: mean of the same measure of the true frames, for measures that have it.
        note: a reservation about the value, such as a singular covariance; empty if there is none.
    """

    name: str
    n: int
    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    truth_value: float | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelTable:
    """The table of one model in one setting.

    `values`: one line per measure that at least one animation has, in the order of `MEASURES`, then `SET_MEASURES`.
    """

    model: str
    setting: str
    ok: int
    rejected: int
    failed: int
    values: tuple[MeasuredValue, ...]


_TYPES: Mapping[str, pa.DataType] = {
    **dict.fromkeys(("model", "setting"), pa.string()),
    **dict.fromkeys(("ok", "rejected", "failed"), pa.int64()),
    "measure": pa.string(),
    "n": pa.int64(),
    **dict.fromkeys(("value", "ci_low", "ci_high", "truth_value"), pa.float64()),
    "note": pa.string(),
}


def evaluation_tables(ledger: Ledger) -> tuple[ModelTable, ...]:
    """The tables that the last job of a dataset published, sorted by model and setting; empty if there are none."""
    if not ledger.storage.exists(PARQUET):
        return ()
    rows = pq.read_table(io.BytesIO(ledger.storage.read(PARQUET))).to_pylist()
    head = ("model", "setting", "ok", "rejected", "failed")
    return tuple(
        ModelTable(
            **dict(zip(head, key, strict=True)),
            values=tuple(
                MeasuredValue(name=row["measure"], **{name: row[name] for name in _VALUES})
                for row in lines
                if row["measure"] is not None
            ),
        )
        for key, lines in groupby(rows, key=lambda row: tuple(row[name] for name in head))
    )


_VALUES = ("n", "value", "ci_low", "ci_high", "truth_value", "note")


def publish_tables(ledger: Ledger, tables: Sequence[ModelTable]) -> None:
    """Publish the tables as Parquet and CSV, in one row per measure; a model without a value has one row without one.

    Raises:
        OSError: the storage refuses a file.
    """
    rows = [
        {
            **{name: getattr(table, name) for name in ("model", "setting", "ok", "rejected", "failed")},
            **({"measure": value.name, **{name: asdict(value)[name] for name in _VALUES}} if value else {}),
        }
        for table in tables
        for value in table.values or (None,)
    ]
    publish_table(ledger.storage, PARQUET, pa.Table.from_pylist(rows, schema=pa.schema(list(_TYPES.items()))))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(_TYPES), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    ledger.storage.publish(CSV, text.getvalue().encode())


def compute_tables(
    ledger: Ledger, manifest: Manifest, *, pipeline: str, stage_keys: Mapping[str, str]
) -> tuple[ModelTable, ...]:
    """Tables of the current rows of a compacted dataset: those of the manifest with the pipeline's key.

    Models and settings are the manifest's. Fréchet statistics are computed for data files that have none yet.

    Args:
        ledger: the dataset.
        manifest: the job's pairs.
        pipeline: key of the pipeline.
        stage_keys: keys of its stages.

    Raises:
        OSError: the storage refuses a file of statistics.
    """
    with duckdb.connect(config={"memory_limit": MEMORY_LIMIT}) as connection:
        relation = ledger.relation(connection)
        if not relation:
            return ()
        _create_current(connection, relation, manifest, pipeline)
        keys = {name: stage_keys[m.stage] for name, m in SET_MEASURES.items() if m.stage in stage_keys}
        statistics = Statistics(
            ledger, list(counted_rows(connection, "(SELECT * FROM current WHERE status = 'ok')")), keys
        )
        statistics.update()
        groups = connection.execute(
            "SELECT model, setting, count(*) FILTER (status = 'ok'), count(*) FILTER (status = 'rejected'), "
            "count(*) FILTER (status = 'failed') FROM current GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        return tuple(
            ModelTable(
                model=model,
                setting=setting,
                ok=ok,
                rejected=rejected,
                failed=failed,
                values=(
                    *_means(connection, (model, setting)),
                    *_distances(statistics, (model, setting)),
                ),
            )
            for model, setting, ok, rejected, failed in groups
        )


def _create_current(connection: duckdb.DuckDBPyConnection, relation: str, manifest: Manifest, pipeline: str) -> None:
    """Create the table `current`: ids, group, outcome and measures of the current rows."""
    present = column_names(connection, relation)
    measures = [
        f"{column} AS {column}" if column in present else f"NULL::DOUBLE AS {column}"
        for name in MEASURES
        for column in (name, f"{name}_truth")
    ]
    same = " AND ".join(f"l.{column} IS NOT DISTINCT FROM m.{column}" for column in ("animation_id", *KEY_COLUMNS))
    inputs = ", ".join(f"coalesce(m.{column}::VARCHAR, '')" for column in KEY_COLUMNS)
    connection.execute(
        f"CREATE TEMP TABLE current AS SELECT m.animation_id, m.model, m.setting, l.filename, l.status, "  # noqa: S608
        f"md5(concat_ws('|', {inputs})) AS inputs, {', '.join(measures)} "
        f"FROM {manifest.relation(connection)} m JOIN {relation} l ON {same} WHERE l.pipeline_key = ?",
        [pipeline],
    )


def _means(connection: duckdb.DuckDBPyConnection, group: Group) -> Iterator[MeasuredValue]:
    for name, measure in MEASURES.items():
        # Ordered by id, so that the interval is the same for any order of the rows.
        columns = connection.execute(
            f"SELECT {name} AS value, {name}_truth AS truth FROM current WHERE model = ? AND setting = ? "  # noqa: S608
            f"AND status = ? AND {name} IS NOT NULL ORDER BY animation_id",
            [*group, Status.OK],
        ).fetchnumpy()
        values = np.ma.compressed(columns["value"])
        if not len(values):
            continue
        truth = np.ma.compressed(columns["truth"]) if measure.has_truth else ()
        interval = bootstrap_interval(values, seed=BOOTSTRAP_SEED) or (None, None)
        yield MeasuredValue(
            name=name,
            n=len(values),
            value=float(values.mean()),
            ci_low=interval[0],
            ci_high=interval[1],
            truth_value=float(np.mean(truth)) if len(truth) else None,
        )


def _distances(statistics: Statistics, group: Group) -> Iterator[MeasuredValue]:
    for name in statistics.names:
        animation, truth = (statistics.merged(name, group, side) for side in SIDES)
        if animation is not None and truth is not None:
            yield _distance(SET_MEASURES[name], animation, truth)


def _distance(measure: SetMeasure, animation: FrechetStatistics, truth: FrechetStatistics) -> MeasuredValue:
    n, dimensions = min(animation.n, truth.n), len(animation.total)
    if n < 2:
        note = f"{n} sample of {dimensions} dimensions has no covariance; expected 2 or more"
        return MeasuredValue(name=measure.name, n=n, value=None, note=note)
    note = f"covariance of {n} samples in {dimensions} dimensions is singular" if n <= dimensions else ""
    distance = frechet_distance(animation, truth, ddof=measure.ddof)
    return MeasuredValue(name=measure.name, n=n, value=distance, note=note)
