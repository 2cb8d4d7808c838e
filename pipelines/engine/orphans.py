"""Media files of a dataset that no row names: those of rows that were made anew."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa

from pipelines.engine.ledger import Ledger
from pipelines.engine.tables import column_names
from stages.io.storage import VIDEOS, Storage, store_errors

MEDIA_COLUMNS = ("video_uri", "side_by_side_uri", "face_strip_uri")
MIN_AGE = timedelta(hours=1)
"""Age below which a file is kept: a worker that outlived its job may yet commit the row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Orphan:
    """A media file without a row. `name` is relative to the dataset."""

    name: str
    size_bytes: int


def find_orphans(ledger: Ledger) -> list[Orphan]:
    """Media files that no row of a compacted ledger names. Requires the dataset's lock.

    Raises:
        DamagedFileError: a damaged data file, which may name any of them.
    """
    sizes = ledger.storage.sizes(VIDEOS)
    if not sizes:
        return []
    with duckdb.connect() as connection:
        relation = ledger.relation(connection)
        connection.register("files", pa.table({"name": pa.array(sizes, pa.string())}))
        present = column_names(connection, relation) if relation else set()
        named = [f"SELECT {column} AS name FROM {relation}" for column in MEDIA_COLUMNS if column in present]  # noqa: S608
        query = f"FROM files ANTI JOIN ({' UNION ALL '.join(named)}) USING (name)" if named else "FROM files"
        names = [name for (name,) in connection.execute(f"{query} ORDER BY name").fetchall()]
    return [Orphan(name=name, size_bytes=sizes[name]) for name in names]


def prune(storage: Storage, orphans: Sequence[Orphan]) -> list[Orphan]:
    """Delete those of `orphans` that are older than `MIN_AGE`; returns them. Requires the dataset's lock."""
    oldest = datetime.now(UTC) - MIN_AGE
    deleted = []
    for orphan in orphans:
        with store_errors(storage.url), contextlib.suppress(FileNotFoundError):
            if storage.fs.modified(storage.path(orphan.name)) >= oldest:
                continue
            storage.delete(orphan.name)
            deleted.append(orphan)
    return deleted


def orphans_line(orphans: Sequence[Orphan], url: str) -> str:
    """Number and size of orphans, and the command that deletes them."""
    return (
        f"note: {amount(orphans)} in {VIDEOS}/ belong to no row (they were made anew); "
        f"`zoetrope compact {url} --prune` deletes them"
    )


def amount(orphans: Sequence[Orphan]) -> str:
    """Number and size of orphans."""
    megabytes = sum(orphan.size_bytes for orphan in orphans) / 1e6
    return f"{len(orphans)} file{'s' * (len(orphans) != 1)} ({megabytes:.1f} MB)"
