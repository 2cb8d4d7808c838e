"""Content keys of stages, pipelines and rows, derived from the inputs of a result."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stages.base import Stage

KEY_CHARS = 32
"""Length of a key: the first 128 bits of a SHA-256, as hexadecimal characters. Collisions are negligible."""


def digest(value: Any) -> str:
    """Key of a JSON-like value, independent of the order of mapping keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_CHARS]


def described(config: Any) -> Any:
    """The part of a configuration that its key depends on, as JSON-like values."""
    return json.loads(json.dumps(config, default=_plain))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field for field in dataclasses.fields(value) if field.metadata.get("in_key", True)]
        return {**{field.name: getattr(value, field.name) for field in fields}, **getattr(value, "in_key", {})}
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"a configuration may hold plain values only, got {type(value).__name__}: {value!r}")


def stage_keys(stages: Sequence[Stage[Any]]) -> dict[str, str]:
    """Key by stage name, over the stage's version, configuration and weights and the keys of the stages it reads from.

    A changed setting changes the keys of its stage and of dependent stages only. A field declared with
    `field(metadata={"in_key": False})`, such as a timeout, does not affect results and changes no key. A configuration
    with an attribute `in_key` (a mapping) adds its values.
    """
    keys: dict[str, str] = {}
    writer: dict[str, str] = {}
    for stage in stages:
        upstream = {column: keys[writer[column]] for column in sorted(stage.reads) if column in writer}
        keys[stage.name] = digest([stage.name, stage.version, stage.config, dict(stage.weights()), upstream])
        writer.update(dict.fromkeys(stage.writes, stage.name))
    return keys


def pipeline_key(keys: Mapping[str, str]) -> str:
    """Key of a pipeline, over the keys of all its stages."""
    return digest(dict(keys))


def work_key(row_id: str, inputs: Iterable[Any], pipeline: str) -> str:
    """Key of the work on one row, over its id, its key columns in the manifest and the pipeline key."""
    return digest([row_id, list(inputs), pipeline])
