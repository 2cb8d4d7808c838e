"""Headers of safetensors files, checked in full before anything is allocated. Imports no torch: planning reads them."""

from __future__ import annotations

import json
import math
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.common.digest import CheckpointError

MAX_HEADER_BYTES = 32 * 2**20
"""Far above real headers, which have about 100 bytes per tensor."""
OWN_METADATA = "zoetrope"
"""Metadata key of the JSON that this project stores."""
ITEM_BYTES: Mapping[str, int] = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "I16": 2,
    "U16": 2,
    "F16": 2,
    "BF16": 2,
    "I32": 4,
    "U32": 4,
    "F32": 4,
    "I64": 8,
    "U64": 8,
    "F64": 8,
}


class DamagedHeaderError(ValueError):
    """A header that does not describe its file. The message is a predicate of the file ("is truncated")."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """`shapes`: shape of each tensor by its name. `metadata`: free text by key."""

    shapes: Mapping[str, tuple[int, ...]]
    metadata: Mapping[str, str]


def read_header(path: Path) -> Header:
    """Read and check the header of a file: every byte of the file belongs to exactly one tensor.

    Raises:
        DamagedHeaderError: it is no regular file, or the header is damaged or describes another file.
        OSError: the file cannot be read.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise DamagedHeaderError("is not a file")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= status.st_size - 8:
            raise DamagedHeaderError("is truncated, or not a safetensors file")
        if length > MAX_HEADER_BYTES:
            raise DamagedHeaderError(f"has a header of {length} bytes, expected at most {MAX_HEADER_BYTES}")
        entries = _parsed(file.read(length))
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise DamagedHeaderError("has a damaged safetensors header: its metadata are not texts by name")
    _check_extents(entries, num_bytes=status.st_size - 8 - length, size_bytes=status.st_size)
    return Header(shapes={name: tuple(entry["shape"]) for name, entry in entries.items()}, metadata=metadata)


def read_metadata(path: Path) -> dict[str, Any]:
    """The `metadata` passed to `models.common.checkpoint.save_checkpoint`.

    Raises:
        CheckpointError: the file is absent, damaged or not written by `save_checkpoint`.
    """
    try:
        header = read_header(path)
    except DamagedHeaderError as error:
        raise CheckpointError(f"cannot read the checkpoint {path}: it {error}") from error
    except OSError as error:
        raise CheckpointError(f"cannot read the checkpoint {path}: {error.strerror or error}") from error
    if OWN_METADATA not in header.metadata:
        raise CheckpointError(
            f"{path} has no '{OWN_METADATA}' entry in its metadata: it was not written by this project"
        )
    try:
        metadata = json.loads(header.metadata[OWN_METADATA])
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise CheckpointError(f"cannot read the checkpoint {path}: its '{OWN_METADATA}' metadata are no JSON object")
    return metadata


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        entries = json.loads(text, object_pairs_hook=_without_duplicates)
    except DamagedHeaderError:
        raise
    except (ValueError, RecursionError) as error:
        raise DamagedHeaderError("has a damaged safetensors header: it is not valid JSON") from error
    if not isinstance(entries, dict):
        raise DamagedHeaderError("has a damaged safetensors header: it is no JSON object")
    return entries


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise DamagedHeaderError("has a damaged safetensors header: a name is given twice")
    return entries


def _check_extents(entries: Mapping[str, Any], *, num_bytes: int, size_bytes: int) -> None:
    """Check that the tensors lie one after the other and fill the file."""
    end = 0
    for start, stop, name in sorted(_extents(entries)):
        if start != end:
            raise DamagedHeaderError(
                f"has a damaged safetensors header: {name[:60]!r} begins at byte {start}, expected {end}"
            )
        end = stop
    if end != num_bytes:
        raise DamagedHeaderError(f"has {size_bytes} bytes, but its header declares {size_bytes - num_bytes + end}")


def _extents(entries: Mapping[str, Any]) -> Iterator[tuple[int, int, str]]:
    """First byte, end and name of each tensor, whose length is that of its shape and dtype."""
    for name, entry in entries.items():
        match entry:
            case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(start), int(stop)]} if (
                all(type(side) is int and side >= 0 for side in shape) and 0 <= start <= stop
            ):
                pass
            case _:
                raise DamagedHeaderError(f"has a damaged safetensors header: {name[:60]!r} is not described")
        if dtype not in ITEM_BYTES:
            raise DamagedHeaderError(f"has the unknown dtype {dtype[:20]!r} for {name[:60]!r}")
        if math.prod(shape) * ITEM_BYTES[dtype] != stop - start:
            raise DamagedHeaderError(
                f"has a damaged safetensors header: {name[:60]!r} has {stop - start} bytes, not those of its shape"
            )
        yield start, stop, name
