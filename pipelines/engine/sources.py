"""Source discovery: folders, globs, URLs and lists, resolved to one manifest of source files."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.engine.manifest import Manifest, ManifestError
from pipelines.engine.rows import conformed, unified_schema
from stages.io.source import local_path, local_uri
from stages.io.storage import is_local, open_file_system, store_errors

VIDEO_SUFFIXES = frozenset(
    [
        ".3gp",
        ".avi",
        ".flv",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".ogv",
        ".ts",
        ".webm",
        ".wmv",
    ]
)
LIST_SUFFIXES = frozenset({".parquet", ".csv"})
SOURCE_COLUMNS = {"video_id": pa.string(), "uri": pa.string(), "source_stamp": pa.string()}
STAT_THREADS = 32
MAX_ID_CHARS = 128
_RACY_SECONDS = 2.0


def find_sources(
    patterns: Sequence[str],
    allowed_schemes: Iterable[str],
    *,
    noun: str = "video",
    suffixes: frozenset[str] = VIDEO_SUFFIXES,
    reserved: Collection[str] | None = None,
) -> pa.Table:
    """Table with one row per source file: `video_id`, `uri`, `source_stamp` (changes with the file). With
    `reserved`, also the other columns of lists, null for other sources.

    A folder is searched recursively for files with one of the suffixes; an explicitly named file may have any suffix;
    a `.parquet` or `.csv` list has a column `uri` and optionally `video_id`. Relative URIs of a list are resolved
    against its folder. URIs outside `allowed_schemes` are listed but not accessed: their rows fail with `NotAllowed`.

    Args:
        patterns: folders, globs, URLs, lists.
        allowed_schemes: schemes of URIs that may be accessed.
        noun: name of the files in messages.
        suffixes: suffixes of the files in folders.
        reserved: names that the other columns of lists must not have; None: other columns are ignored.

    Raises:
        ManifestError: no source files, or an invalid list.
    """
    allowed = frozenset(allowed_schemes)
    entries: dict[str, str | None] = {}
    own: list[pa.Table] = []
    stamps: dict[str, str] = {}
    for pattern in patterns:
        if PurePosixPath(pattern).suffix.lower() in LIST_SUFFIXES:
            listed, columns = _from_list(pattern, reserved or ())
            for uri, video_id in listed:
                entries[uri] = video_id or entries.get(uri)
            own.append(columns)
            continue
        with store_errors(pattern):
            stamps.update(_from_storage(pattern, suffixes))
        for uri in stamps:
            entries.setdefault(uri, None)
    if not entries:
        raise ManifestError(
            f"no {noun} found in {', '.join(patterns)}; looked for files ending in {' '.join(sorted(suffixes))}"
        )
    uris = sorted(entries)
    missing = [uri for uri in uris if not stamps.get(uri)]
    stamps.update(zip(missing, source_stamps(missing, allowed), strict=True))
    ids = [entries[uri] or derived_id(uri) for uri in uris]
    table = pa.table(
        {"video_id": ids, "uri": uris, "source_stamp": [stamps[uri] for uri in uris]},
        schema=pa.schema(list(SOURCE_COLUMNS.items())),
    )
    return table if reserved is None else _with_columns(table, own)


def source_stamps(uris: Sequence[str], allowed_schemes: Iterable[str]) -> list[str]:
    """Version stamp of each URI: its size with its ETag or modification time.

    Empty for a file that is missing, unreachable or of another scheme; its worker records the reason in the row.
    """
    allowed = frozenset(allowed_schemes)
    with ThreadPoolExecutor(STAT_THREADS) as pool:
        return list(pool.map(lambda uri: _stamp(uri, allowed), uris))


def register_stamps(
    connection: duckdb.DuckDBPyConnection, name: str, column: str, allowed_schemes: Iterable[str], *, source: str
) -> None:
    """Register the table `name` (`name`, `value`) with the `source_stamps` of the distinct URIs in a column of the
    table `source`.
    """
    distinct = connection.execute(f"SELECT DISTINCT {column} FROM {source} WHERE {column} IS NOT NULL ORDER BY 1")  # noqa: S608
    uris = [uri for (uri,) in distinct.fetchall()]
    stamps = source_stamps(uris, allowed_schemes)
    connection.register(name, pa.table({"name": pa.array(uris, pa.string()), "value": pa.array(stamps, pa.string())}))


def absolute_sql(column: str, base: str) -> str:
    """SQL of the URIs in `column`, where relative ones start at `base`."""
    quoted = base.replace("'", "''")
    return f"CASE WHEN {column} LIKE '%://%' OR {column} LIKE '/%' THEN {column} ELSE '{quoted}/' || {column} END"


def derived_id(uri: str) -> str:
    """Readable unique id of a URI: the stem of its file name and eight hexadecimal digits of its SHA-256."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", PurePosixPath(uri).stem)[:60].strip("-") or "video"
    return f"{stem}-{hashlib.sha256(uri.encode(errors='surrogatepass')).hexdigest()[:8]}"


def joined_id(*parts: str) -> str:
    """Readable id made of other ids; the end of one that is too long is a hash."""
    name = ".".join(parts)
    if len(name) <= MAX_ID_CHARS:
        return name
    return f"{name[: MAX_ID_CHARS - 17]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _from_storage(pattern: str, suffixes: frozenset[str]) -> dict[str, str]:
    """Version stamps by URI, taken from the listing: one request per object would take hours."""
    try:
        fs, path = open_file_system(pattern)
    except ValueError as error:
        raise ManifestError(f"{pattern}: {error}") from error
    if any(mark in path for mark in "*?[") and not fs.exists(path):
        entries = fs.glob(path, detail=True)
        folders = {
            name for name in entries if entries[name]["type"] == "directory" or (is_local(fs) and fs.isdir(name))
        }
        infos = {name: entries[name] for name in entries.keys() - folders}
    elif fs.isdir(path):
        entries = fs.find(path, detail=True)
        infos = {name: entries[name] for name in entries if PurePosixPath(name).suffix.lower() in suffixes}
    elif fs.exists(path):
        infos = {path: fs.info(path)}
    else:
        raise ManifestError(f"{pattern} does not exist; expected a folder, a glob, a file, or a .parquet or .csv list")
    return {
        local_uri(name) if is_local(fs) else str(fs.unstrip_protocol(name)): _stamp_of(info)
        for name, info in infos.items()
    }


def _from_list(url: str, reserved: Collection[str]) -> tuple[list[tuple[str, str | None]], pa.Table]:
    """Absolute URIs and ids of a list, and the table of its `uri` and other columns."""
    with duckdb.connect() as connection:
        table = Manifest(url=url, id_column="uri", required={"uri": pa.string()}, optional={"video_id": pa.string()})
        relation = table.relation(connection, reserved=reserved)
        listed = connection.sql(
            f"SELECT * REPLACE ({absolute_sql('uri', folder_of(url))} AS uri) FROM {relation}"  # noqa: S608
        ).to_arrow_table()
    pairs = zip(listed["uri"].to_pylist(), listed["video_id"].to_pylist(), strict=True)
    return list(pairs), listed.drop_columns(["video_id"])


def _with_columns(table: pa.Table, lists: Sequence[pa.Table]) -> pa.Table:
    """`table` with the other columns of `lists` by `uri`. Of a URI that occurs several times, the last row counts."""
    lists = [columns for columns in lists if columns.num_columns > 1]
    if not lists:
        return table
    schema = unified_schema(columns.schema for columns in lists)
    rows = pa.concat_tables([conformed(columns, schema) for columns in lists])
    place = {uri: index for index, uri in enumerate(rows["uri"].to_pylist())}
    found = rows.take(pa.array([place.get(uri) for uri in table["uri"].to_pylist()], pa.int64()))
    for name in schema.names:
        if name != "uri":
            table = table.append_column(name, found[name])
    return table


def folder_of(url: str) -> str:
    """Folder of a table, the base of its relative URIs: a path if local, else a URL."""
    fs, path = open_file_system(url)
    return (path if is_local(fs) else str(fs.unstrip_protocol(path))).rsplit("/", 1)[0]


def _stamp(uri: str, allowed: frozenset[str]) -> str:
    scheme = uri.split("://", 1)[0] if "://" in uri else "file"
    if scheme not in allowed or "\0" in uri:
        return ""
    try:
        fs, path = open_file_system(local_path(uri) if scheme == "file" else uri)
        with store_errors(uri):
            return _stamp_of(fs.info(path))
    except (OSError, ValueError):
        return ""


def _stamp_of(info: Mapping[str, Any]) -> str:
    mtime = info.get("mtime")
    # Where times are whole seconds, a file that was written just now may yet change without a new time: its stamp
    # differs from all later ones.
    recent = isinstance(mtime, float) and mtime.is_integer() and abs(time.time() - mtime) < _RACY_SECONDS
    tag = info.get("ETag") or info.get("etag") or info.get("mtime") or info.get("LastModified") or ""
    return f"{info.get('size')}:{tag}{':recent' if recent else ''}"
