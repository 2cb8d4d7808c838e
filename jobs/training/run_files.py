"""Files of a training run, and the weights that a run or a publication left. Imports no torch."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.common.digest import CheckpointError
from stages.io.storage import Storage

logger = logging.getLogger(__name__)

FOLDER = "checkpoints"
WEIGHTS = "weights.safetensors"
PUBLISHED = "network.safetensors"
"""Weights in a folder that `zoetrope train publish` wrote."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointRecord:
    """Record of a checkpoint. `facts`: those passed to `CheckpointStore.save`."""

    name: str
    step: int
    facts: Mapping[str, Any]

    @property
    def weights(self) -> str:
        """Name of the weights file in the run's storage."""
        return f"{FOLDER}/{self.name}/{WEIGHTS}"


def checkpoint_names(storage: Storage) -> list[str]:
    """Names of a run's checkpoints, oldest first."""
    return [name.removeprefix(f"{FOLDER}/").removesuffix(".json") for name in storage.names(FOLDER, ".json")]


def read_record(storage: Storage, name: str) -> CheckpointRecord:
    """Record of a checkpoint. Raises CheckpointError if it is damaged."""
    path = f"{FOLDER}/{name}.json"
    try:
        record = json.loads(storage.read(path))
        return CheckpointRecord(name=name, step=int(record["step"]), facts=dict(record["facts"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{storage.url_of(path)} is damaged: it is no record of a checkpoint") from error


def latest_record(storage: Storage) -> CheckpointRecord | None:
    """Record of the last checkpoint, or None. A damaged record is passed over with a warning."""
    for name in reversed(checkpoint_names(storage)):
        try:
            return read_record(storage, name)
        except CheckpointError as error:
            logger.warning("%s", error)
    return None


def weights_file(run: str) -> tuple[Storage, str] | None:
    """Storage and file name of the weights of a `.safetensors` file, a run (its last checkpoint) or a publication; None
    for another folder.
    """
    if run.endswith(".safetensors"):
        folder, _, name = run.rpartition("/")
        return Storage(folder or ("/" if run.startswith("/") else ".")), name
    storage = Storage(run)
    latest = latest_record(storage)
    if latest is not None:
        return storage, latest.weights
    return (storage, PUBLISHED) if storage.exists(PUBLISHED) else None
