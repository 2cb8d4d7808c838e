"""Pairs of an animation and its truth: from a dataset of results, or from a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import duckdb
import pyarrow as pa

from pipelines.engine.ledger import Ledger
from pipelines.engine.manifest import Manifest, ManifestError, columns_of, sql_type_of
from pipelines.engine.schema import PAIR_COLUMNS, REQUEST_COLUMNS, RESOLVED_COLUMNS, RESULT_COLUMNS
from pipelines.engine.sources import VIDEO_SUFFIXES, absolute_sql, derived_id, folder_of, register_stamps
from pipelines.engine.tables import column_names
from stages.io.storage import Storage, is_local, open_file_system
from stages.outcome import Status

DRIVING = "driving"
"""The truth of an animation is its driving video: models are evaluated on the character's own motion."""
COLUMN_PREFIX = "column:"
DEFAULT_SETTING = "default"
SETTING_COLUMNS = ("num_steps", "guidance_scale")
"""Columns of results that make a setting, unless others are named."""

_RESULT_TYPES = {
    "status": pa.string(),
    "reason": pa.string(),
    **columns_of(REQUEST_COLUMNS, ("model", "driving_uri", "start_seconds", *SETTING_COLUMNS)),
    "clip": RESOLVED_COLUMNS["clip"],
    **columns_of(RESULT_COLUMNS, ("num_frames", "window_borders", "cut_start_frames", "cut_end_frames", "fps")),
}
"""Columns of results that pairs are made of, of which older datasets may lack some."""


def pairs_of_results(
    results: str, *, truth: str, group_by: Sequence[str] = (), allowed_schemes: Iterable[str]
) -> pa.Table:
    """Table of `PAIR_COLUMNS` and `STAMPED_PAIR_COLUMNS` with one row per request of a dataset of `animate`.

    Args:
        results: the dataset.
        truth: `driving`: the driven part of the driving video or clip; `column:NAME`: the URI in that column of the
            results, relative to the dataset's folder; else a folder with a video named after each request.
        group_by: columns of the results whose values make the setting; empty: `SETTING_COLUMNS`, where they are set.
        allowed_schemes: schemes of URIs that may be accessed.

    Raises:
        ManifestError: no results, a missing column or folder, or two videos of one name.
    """
    ledger = Ledger(Storage(_resolved(results)), "request_id")
    with duckdb.connect() as connection:
        relation = ledger.relation(connection)
        present = column_names(connection, relation) if relation else set()
        if not {"request_id", "video_uri", "status"} <= present:
            raise ManifestError(f"{results} holds no animations; expected the dataset that `zoetrope animate` wrote")
        columns = [
            name if name in present else f"NULL::{sql_type_of(kind)} AS {name}" for name, kind in _RESULT_TYPES.items()
        ]
        named = {column: f'"{column}"' for column in _truth_columns(truth, present, results)}
        setting = _setting_sql(group_by or SETTING_COLUMNS, present, results, strict=bool(group_by))
        connection.execute(
            f"CREATE TEMP TABLE results AS SELECT request_id, video_uri, {setting} AS setting, "  # noqa: S608
            f"{', '.join([*columns, *(f'{sql}::VARCHAR AS truth_column' for sql in named.values())])} FROM {relation}"
        )
        _create_truths(connection, truth, ledger.storage)
        connection.execute(
            "CREATE TEMP TABLE pairs AS SELECT request_id AS animation_id, "  # noqa: S608
            f"{absolute_sql('video_uri', ledger.storage.url)} AS animation_uri, t.* EXCLUDE (request_id), "
            "r.model, r.setting, r.window_borders, CASE WHEN r.status <> ? THEN concat_ws(': ', r.status, r.reason) "
            "END AS not_animated FROM results r JOIN truths t USING (request_id)",
            [Status.OK],
        )
        return _stamped(connection, allowed_schemes)


def pairs_of_table(url: str, *, group_by: Sequence[str] = (), allowed_schemes: Iterable[str]) -> pa.Table:
    """The same table from a Parquet or CSV table with the columns `animation_uri` and `truth_uri`.

    Other columns of `PAIR_COLUMNS` are optional; an id is derived from the animation's URI. Relative URIs start at the
    table's folder.

    Raises:
        ManifestError: an invalid table.
    """
    required = columns_of(PAIR_COLUMNS, ("animation_uri", "truth_uri"))
    optional = {name: kind for name, kind in PAIR_COLUMNS.items() if name not in required}
    manifest = Manifest(url=url, id_column="animation_id", required=required, optional=optional)
    base = _resolved(folder_of(url))
    with duckdb.connect() as connection:
        relation = manifest.relation(connection)
        given = f"(SELECT * REPLACE ({', '.join(f'{absolute_sql(name, base)} AS {name}' for name in required)}) FROM {relation})"  # noqa: E501, S608
        setting = (
            _setting_sql(group_by, column_names(connection, relation), url, strict=True)
            if group_by
            else f"coalesce(setting, '{DEFAULT_SETTING}')"
        )
        connection.create_function("derived_id", derived_id, ["VARCHAR"], "VARCHAR")
        values = {
            **{name: name for name in PAIR_COLUMNS},
            "animation_id": "coalesce(animation_id, derived_id(animation_uri))",
            "model": "coalesce(model, 'unnamed')",
            "setting": setting,
        }
        selected = ", ".join(f"{value} AS {name}" for name, value in values.items())
        connection.execute(f"CREATE TEMP TABLE pairs AS SELECT {selected} FROM {given}")  # noqa: S608
        return _stamped(connection, allowed_schemes)


def _stamped(connection: duckdb.DuckDBPyConnection, allowed_schemes: Iterable[str]) -> pa.Table:
    schemes = tuple(allowed_schemes)
    for side in ("animation", "truth"):
        register_stamps(connection, f"{side}_stamps", f"{side}_uri", schemes, source="pairs")
    columns = ", ".join(f"p.{name}" for name in PAIR_COLUMNS)
    return connection.sql(
        f"SELECT {columns}, a.value AS animation_stamp, t.value AS truth_stamp FROM pairs p "  # noqa: S608
        "LEFT JOIN animation_stamps a ON a.name = p.animation_uri "
        "LEFT JOIN truth_stamps t ON t.name = p.truth_uri ORDER BY animation_id"
    ).to_arrow_table()


def _truth_columns(truth: str, present: Iterable[str], results: str) -> tuple[str, ...]:
    """The column that `truth` names, if it names one."""
    if not truth.startswith(COLUMN_PREFIX):
        return ()
    column = truth.removeprefix(COLUMN_PREFIX)
    if column not in present:
        raise ManifestError(f"{results} has no column '{column[:60]}'; it has {sorted(present)}")
    return (column,)


def _create_truths(connection: duckdb.DuckDBPyConnection, truth: str, results: Storage) -> None:
    """Create the table `truths`: the truth's columns of `PAIR_COLUMNS` by `request_id`."""
    # A truth given by hand is that of the whole driving part; an animation of less than that has a truth of less.
    cut = "coalesce(cut_start_frames, 0) + coalesce(cut_end_frames, 0) > 0"
    own_part = (
        f"CASE WHEN {cut} THEN coalesce(cut_start_frames, 0) / fps END AS truth_start_seconds, "
        f"NULL::DOUBLE AS truth_timestamp_seconds, CASE WHEN {cut} THEN num_frames END AS truth_num_frames"
    )
    if truth == DRIVING:
        # The timestamps of clips are those of the file; requests count from the first frame.
        cut_seconds = "cut_start_frames / fps"
        uri, part = (
            "coalesce(clip.uri, driving_uri)",
            (
                f"CASE WHEN clip IS NOT NULL THEN NULL WHEN cut_start_frames > 0 THEN coalesce(start_seconds, 0) "
                f"+ {cut_seconds} ELSE start_seconds END AS truth_start_seconds, "
                f"clip.start_seconds + CASE WHEN cut_start_frames > 0 THEN {cut_seconds} ELSE 0 END "
                "AS truth_timestamp_seconds, num_frames AS truth_num_frames"
            ),
        )
    elif truth.startswith(COLUMN_PREFIX):
        uri, part = absolute_sql("truth_column", results.url), own_part
    else:
        folder = Storage(_resolved(truth))
        videos = _videos_by_stem(folder)
        connection.register("videos", pa.table({"stem": list(videos), "name": list(videos.values())}))
        connection.execute(
            f"CREATE TEMP TABLE truths AS SELECT request_id, concat(?, '/', coalesce(v.name, request_id || '.*')) "  # noqa: S608
            f"AS truth_uri, {own_part} FROM results LEFT JOIN videos v ON v.stem = request_id",
            [folder.url],
        )
        return
    connection.execute(f"CREATE TEMP TABLE truths AS SELECT request_id, {uri} AS truth_uri, {part} FROM results")  # noqa: S608


def _videos_by_stem(folder: Storage) -> Mapping[str, str]:
    names = [name for name in folder.names() if PurePosixPath(name).suffix.lower() in VIDEO_SUFFIXES]
    if not names:
        raise ManifestError(
            f"{folder.url} holds no videos; expected a folder with a video named after each request, `driving`, or "
            "`column:NAME`"
        )
    by_stem: dict[str, str] = {}
    for name in names:
        other = by_stem.setdefault(PurePosixPath(name).stem, name)
        if other != name:
            raise ManifestError(f"{folder.url} holds {other} and {name}; expected one video per name")
    return by_stem


def _setting_sql(columns: Sequence[str], present: Iterable[str], url: str, *, strict: bool) -> str:
    """SQL of the setting: `column=value` of the columns that have a value; `default` if none has."""
    names = set(present)
    if strict and (missing := [column for column in columns if column not in names]):
        raise ManifestError(f"{url} has no column {missing[0]!r} to group by; it has {sorted(names)}")
    parts = []
    for column in columns:
        if column in names:
            quoted, label = column.replace('"', '""'), column.replace("'", "''")
            parts.append(f"'{label}=' || \"{quoted}\"::VARCHAR")
    joined = f"concat_ws(', ', {', '.join(parts)})" if parts else "''"
    return f"coalesce(nullif({joined}, ''), '{DEFAULT_SETTING}')"


def _resolved(url: str) -> str:
    """Path or URL of a folder, local ones without `..`, which no row may contain."""
    fs, path = open_file_system(url)
    return str(Path(path).resolve()) if is_local(fs) else url
