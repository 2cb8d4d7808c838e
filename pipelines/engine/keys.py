"""Keys that know what a result was made from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stages.base import Stage

KEY_CHARS = 32
"""Hexadecimal characters kept of a SHA-256: 128 bits, far beyond accidental collision in any corpus."""


def digest(value: Any) -> str:
    """Key of a JSON-like value, independent of the order of its mappings."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_CHARS]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field for field in dataclasses.fields(value) if field.metadata.get("in_key", True)]
        return {field.name: getattr(value, field.name) for field in fields}
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"a configuration may hold plain values only, got {type(value).__name__}: {value!r}")


def stage_keys(stages: Sequence[Stage[Any]]) -> dict[str, str]:
    """Key of each stage's output for any given row: its code version, configuration, weights, and the stages it
    reads from.

    A changed setting changes the key of its stage and of all that depend on it, and of no other. A field declared with
    `field(metadata={"in_key": False})` (a timeout, say) decides whether there is a result, not which, and changes none.
    """
    keys: dict[str, str] = {}
    writer: dict[str, str] = {}
    for stage in stages:
        upstream = {column: keys[writer[column]] for column in sorted(stage.reads) if column in writer}
        keys[stage.name] = digest([stage.name, stage.version, stage.config, dict(stage.weights()), upstream])
        writer.update(dict.fromkeys(stage.writes, stage.name))
    return keys


def pipeline_key(keys: Mapping[str, str]) -> str:
    """Key of a whole pipeline."""
    return digest(dict(keys))


def work_key(row_id: str, inputs: Iterable[Any], pipeline: str) -> str:
    """Key of one row's work: its id, what the manifest says that matters, and the pipeline."""
    return digest([row_id, list(inputs), pipeline])
