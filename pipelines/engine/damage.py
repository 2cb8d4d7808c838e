"""Damaged files of a dataset: cut short, empty, or with changed bytes."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine.tables import publish_table
from stages.io.storage import Storage

DAMAGED = "_damaged"
"""Folder within a dataset of the files that cannot be read."""


class DamagedFileError(ValueError):
    """Damaged data files. The message names them and the command that repairs the dataset."""

    def __init__(self, storage: Storage, names: Sequence[str], cause: object = "") -> None:
        first_line = next(iter(str(cause).splitlines()), "")
        super().__init__(
            f"{', '.join(storage.url_of(name) for name in names)} cannot be read ({first_line[:200] or 'damaged'}); "
            f"`zoetrope compact {storage.url} --repair` keeps the rows that can be read and moves the damaged file to "
            f"{DAMAGED}/; the same job then runs the missing rows again"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Repaired:
    """A data file that was set aside, and how many of its rows are kept; `num_rows` is None if it does not say."""

    name: str
    num_kept: int
    num_rows: int | None


def read_file(storage: Storage, name: str, columns: list[str] | None = None) -> pa.Table:
    """Table of the Parquet file `name`, with its checksums verified.

    Raises:
        DamagedFileError: it is no intact Parquet file.
        OSError: the storage refused it.
    """
    data = storage.read(name)
    try:
        table = pq.read_table(io.BytesIO(data), columns=columns, page_checksum_verification=True)
        # The checksums cover the values; names are part of the footer.
        if not table.column_names:
            raise pa.ArrowInvalid("no columns")
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DamagedFileError(storage, [name], error) from error
    return table


def damaged_files(storage: Storage, names: Sequence[str]) -> list[str]:
    """Those of `names` that cannot be read in full."""
    damaged = []
    for name in names:
        try:
            read_file(storage, name)
        except DamagedFileError:
            damaged.append(name)
    return damaged


@contextlib.contextmanager
def damage_named(storage: Storage, names: Sequence[str]) -> Iterator[None]:
    """Context manager that converts an error of a reader to DamagedFileError, if one of the files is damaged."""
    try:
        yield
    except (duckdb.Error, pa.ArrowException) as error:
        if damaged := damaged_files(storage, names):
            raise DamagedFileError(storage, damaged, error) from error
        raise


def set_aside(storage: Storage, name: str) -> None:
    """Move the file `name` to the folder of damaged files."""
    storage.publish(f"{DAMAGED}/{name.rsplit('/', 1)[-1]}", storage.read(name))
    storage.delete(name)


def repair(storage: Storage, names: Sequence[str]) -> list[Repaired]:
    """Replace each damaged file by its intact row groups, or delete it if there are none. Requires the dataset's lock.

    The damaged file is first copied to the folder of damaged files.
    """
    repaired = []
    for name in damaged_files(storage, names):
        data = storage.read(name)
        storage.publish(f"{DAMAGED}/{name}", data)
        groups, num_rows = _intact_groups(data)
        if groups:
            publish_table(storage, name, pa.concat_tables(groups), row_group_size=groups[0].num_rows)
        else:
            storage.delete(name)
        repaired.append(Repaired(name=name, num_kept=sum(group.num_rows for group in groups), num_rows=num_rows))
    return repaired


def _intact_groups(data: bytes) -> tuple[list[pa.Table], int | None]:
    try:
        file = pq.ParquetFile(io.BytesIO(data), page_checksum_verification=True)
    except (pa.ArrowException, OSError):
        return [], None
    groups = []
    for index in range(file.num_row_groups):
        with contextlib.suppress(pa.ArrowException, OSError):
            groups.append(file.read_row_group(index))
    return groups, file.metadata.num_rows
