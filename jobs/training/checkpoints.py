"""Checkpoints of a training run on any storage: each whole or not there, and the last few of them kept.

checkpoints/step-00001000/weights.safetensors   what is used afterwards
checkpoints/step-00001000/training.pt           what else a run continues from
checkpoints/step-00001000.json                  published last: a checkpoint is there when this is
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from models.common.checkpoint import read_tensors, save_checkpoint
from models.training.trainer import TrainingState
from stages.io.storage import Storage, store_errors

FOLDER = "checkpoints"
WEIGHTS = "weights.safetensors"
TRAINING = "training.pt"


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointRecord:
    """What a checkpoint says about itself. `facts`: what `save` was given."""

    name: str
    step: int
    facts: Mapping[str, Any]

    @property
    def weights(self) -> str:
        """Name of its weights in the run's storage."""
        return f"{FOLDER}/{self.name}/{WEIGHTS}"


class CheckpointStore:
    """The checkpoints of the run in `storage`."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def save(
        self, state: TrainingState, *, facts: Mapping[str, Any], metadata: Mapping[str, Any], keep: int
    ) -> CheckpointRecord:
        """Publish a checkpoint, then remove all but the last `keep`.

        `metadata`: of the file of weights.

        Raises:
            OSError: the storage refused it. The checkpoints before it are untouched.
        """
        name = f"step-{state.step:08d}"
        with self.storage.staged(f"{FOLDER}/{name}/{WEIGHTS}") as path:
            save_checkpoint(state.weights, path, metadata={**metadata, "steps": state.step})
        rest = {"raw_weights": state.raw_weights, "optimizer": state.optimizer, "history": state.history}
        with self.storage.staged(f"{FOLDER}/{name}/{TRAINING}") as path:
            torch.save(rest, path)
        record = {"step": state.step, "facts": dict(facts)}
        self.storage.publish(f"{FOLDER}/{name}.json", json.dumps(record, indent=1).encode())
        for old in self._names()[:-keep]:
            self._remove(old)
        return CheckpointRecord(name=name, step=state.step, facts=facts)

    def latest(self) -> CheckpointRecord | None:
        """The last checkpoint, if there is one."""
        names = self._names()
        if not names:
            return None
        record = json.loads(self.storage.read(f"{FOLDER}/{names[-1]}.json"))
        return CheckpointRecord(name=names[-1], step=record["step"], facts=record["facts"])

    def load(self, record: CheckpointRecord) -> TrainingState:
        """What the run is to go on from."""
        with self.storage.fetched(record.weights) as path:
            weights = read_tensors(path)
        with self.storage.fetched(f"{FOLDER}/{record.name}/{TRAINING}") as path:
            rest = torch.load(path, map_location="cpu", weights_only=True)
        return TrainingState(step=record.step, weights=weights, **rest)

    def sweep(self) -> None:
        """Remove what a killed run left of checkpoints that never were. Only with the run's lock held."""
        whole = set(self._names())
        with store_errors(self.storage.url):
            found = self.storage.fs.find(self.storage.path(FOLDER))
        folders = {str(path).rsplit("/", 2)[-2] for path in found if not str(path).endswith(".json")}
        for name in folders - whole:
            self._remove(name)

    def _names(self) -> list[str]:
        return [name.removeprefix(f"{FOLDER}/").removesuffix(".json") for name in self.storage.names(FOLDER, ".json")]

    def _remove(self, name: str) -> None:
        # Its record first: what has none is not there.
        self.storage.delete(f"{FOLDER}/{name}.json")
        with store_errors(self.storage.url), contextlib.suppress(FileNotFoundError):
            self.storage.fs.rm(self.storage.path(f"{FOLDER}/{name}"), recursive=True)
