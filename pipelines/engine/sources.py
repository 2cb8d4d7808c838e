"""What there is to ingest: folders, globs, URLs and lists, as one manifest of sources."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.engine.manifest import Manifest, ManifestError
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


def find_sources(
    patterns: Sequence[str],
    allowed_schemes: Iterable[str],
    *,
    noun: str = "video",
    suffixes: frozenset[str] = VIDEO_SUFFIXES,
) -> pa.Table:
    """One row per source file: `video_id`, `uri`, `source_stamp` (changes when the file does).

    A folder is searched for files with one of the suffixes, at any depth; a file named outright is taken whatever its
    suffix; a `.parquet` or `.csv` list has a column `uri` and may have `video_id`. A list's relative URIs start at
    its folder. URIs outside `allowed_schemes` are listed but not touched: they end as rows that failed with
    `NotAllowed`.

    Raises:
        ManifestError: nothing there, or a list that cannot be used.
    """
    allowed = frozenset(allowed_schemes)
    entries: dict[str, str | None] = {}
    known: dict[str, str] = {}
    for pattern in patterns:
        if PurePosixPath(pattern).suffix.lower() in LIST_SUFFIXES:
            for uri, video_id in _from_list(pattern):
                entries[uri] = video_id or entries.get(uri)
            continue
        with store_errors(pattern):
            known.update(_from_storage(pattern, suffixes))
        for uri in known:
            entries.setdefault(uri, None)
    if not entries:
        raise ManifestError(
            f"no {noun} found in {', '.join(patterns)}; looked for files ending in {' '.join(sorted(suffixes))}"
        )
    uris = sorted(entries)
    missing = [uri for uri in uris if not known.get(uri)]
    known.update(zip(missing, source_stamps(missing, allowed), strict=True))
    stamps = [known[uri] for uri in uris]
    ids = [entries[uri] or derived_id(uri) for uri in uris]
    return pa.table(
        {"video_id": ids, "uri": uris, "source_stamp": stamps}, schema=pa.schema(list(SOURCE_COLUMNS.items()))
    )


def source_stamps(uris: Sequence[str], allowed_schemes: Iterable[str]) -> list[str]:
    """What changes when the file does, for each of `uris`: size and time, or the store's own tag. Empty for what cannot
    be looked at here: missing, unreachable, or of another scheme. Its worker finds out again and says so in the row.
    """
    allowed = frozenset(allowed_schemes)
    with ThreadPoolExecutor(STAT_THREADS) as pool:
        return list(pool.map(lambda uri: _stamp(uri, allowed), uris))


def derived_id(uri: str) -> str:
    """A readable id that is unique to the URI: its file name, and eight digits of its hash."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", PurePosixPath(uri).stem)[:60].strip("-") or "video"
    return f"{stem}-{hashlib.sha256(uri.encode(errors='surrogatepass')).hexdigest()[:8]}"


def _from_storage(pattern: str, suffixes: frozenset[str]) -> dict[str, str]:
    """URIs and their stamps, which come with the listing: asking a store for each object again would take hours."""
    try:
        fs, path = open_file_system(pattern)
    except ValueError as error:
        raise ManifestError(f"{pattern}: {error}") from error
    if any(mark in path for mark in "*?[") and not fs.exists(path):
        found = fs.glob(path, detail=True)
        folders = {name for name in found if found[name]["type"] == "directory" or (is_local(fs) and fs.isdir(name))}
        infos = {name: found[name] for name in found.keys() - folders}
    elif fs.isdir(path):
        found = fs.find(path, detail=True)
        infos = {name: found[name] for name in found if PurePosixPath(name).suffix.lower() in suffixes}
    elif fs.exists(path):
        infos = {path: fs.info(path)}
    else:
        raise ManifestError(f"{pattern} does not exist; expected a folder, a glob, a file, or a .parquet or .csv list")
    return {name if is_local(fs) else str(fs.unstrip_protocol(name)): _stamp_of(info) for name, info in infos.items()}


def _from_list(url: str) -> Iterator[tuple[str, str | None]]:
    with duckdb.connect() as connection:
        table = Manifest(url=url, id_column="uri", required={"uri": pa.string()}, optional={"video_id": pa.string()})
        relation = table.relation(connection)
        rows: list[tuple[Any, Any]] = connection.sql(f"SELECT uri, video_id FROM {relation}").fetchall()  # noqa: S608
    base = folder_of(url)
    for uri, video_id in rows:
        absolute = "://" in uri or uri.startswith("/")
        yield (uri if absolute else f"{base}/{uri}"), video_id


def folder_of(url: str) -> str:
    """The folder a table lies in, where its relative URIs start: a plain path when local, else a URL."""
    fs, path = open_file_system(url)
    return (path if is_local(fs) else str(fs.unstrip_protocol(path))).rsplit("/", 1)[0]


def _stamp(uri: str, allowed: frozenset[str]) -> str:
    scheme = uri.split("://", 1)[0] if "://" in uri else "file"
    if scheme not in allowed or "\0" in uri:
        return ""
    try:
        fs, path = open_file_system(uri)
        with store_errors(uri):
            return _stamp_of(fs.info(path))
    except (OSError, ValueError):
        return ""


def _stamp_of(info: Mapping[str, Any]) -> str:
    tag = info.get("ETag") or info.get("etag") or info.get("mtime") or info.get("LastModified") or ""
    return f"{info.get('size')}:{tag}"
