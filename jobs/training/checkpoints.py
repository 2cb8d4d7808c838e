"""Atomic checkpoints of a training run on any storage; the last few are kept.

checkpoints/step-00001000/weights.safetensors   averaged weights, for inference
checkpoints/step-00001000/training.pt           other state needed to resume
checkpoints/step-00001000.json                  record, published last: the checkpoint exists once it does
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from jobs.training.run_files import FOLDER, WEIGHTS, CheckpointRecord, checkpoint_names, latest_record, read_record
from models.common.checkpoint import read_tensors, save_checkpoint
from models.common.digest import CheckpointError
from models.common.torch_file import load_torch_file
from models.training.trainer import TrainingState
from stages.io.storage import Storage, store_errors

TRAINING = "training.pt"


@dataclass(frozen=True, kw_only=True, slots=True)
class Restored:
    """A loaded checkpoint. `damage`: what is wrong with each later one, newest first."""

    record: CheckpointRecord
    state: TrainingState
    damage: tuple[str, ...]


class CheckpointStore:
    """The checkpoints of the run in `storage`."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def save(
        self, state: TrainingState, *, facts: Mapping[str, Any], metadata: Mapping[str, Any], keep: int
    ) -> CheckpointRecord:
        """Publish a checkpoint, then delete all but the last `keep`.

        `metadata`: metadata of the weights file.

        Raises:
            OSError: the storage refused a write. Earlier checkpoints are kept.
        """
        name = f"step-{state.step:08d}"
        # Damaged ones that a resumed run passed over, which would count among the last.
        for later in checkpoint_names(self.storage):
            if later > name:
                self._remove(later)
        with self.storage.staged(f"{FOLDER}/{name}/{WEIGHTS}") as path:
            save_checkpoint(state.weights, path, metadata={**metadata, "steps": state.step})
        rest = {"raw_weights": state.raw_weights, "optimizer": state.optimizer, "history": state.history}
        with self.storage.staged(f"{FOLDER}/{name}/{TRAINING}") as path:
            torch.save(rest, path)
        record = {"step": state.step, "facts": dict(facts)}
        self.storage.publish(f"{FOLDER}/{name}.json", json.dumps(record, indent=1).encode())
        for old in checkpoint_names(self.storage)[:-keep]:
            self._remove(old)
        return CheckpointRecord(name=name, step=state.step, facts=facts)

    def latest(self) -> CheckpointRecord | None:
        """Record of the last checkpoint, or None (`latest_record`)."""
        return latest_record(self.storage)

    def load(self, record: CheckpointRecord) -> TrainingState:
        """Load the training state of a checkpoint.

        Raises:
            CheckpointError: a file is missing or damaged.
        """
        training = f"{FOLDER}/{record.name}/{TRAINING}"
        try:
            with self.storage.fetched(record.weights) as path:
                weights = read_tensors(path)
            with self.storage.fetched(training) as path:
                rest = load_torch_file(path)
        except FileNotFoundError as error:
            raise CheckpointError(f"{self.storage.url_of(f'{FOLDER}/{record.name}')} lacks a file") from error
        try:
            return TrainingState(step=record.step, weights=weights, **rest)
        except TypeError as error:
            raise CheckpointError(f"{self.storage.url_of(training)} is no training state: {error}") from error

    def load_last(self) -> Restored | None:
        """Load the last checkpoint that is not damaged; None if there is no checkpoint.

        Raises:
            CheckpointError: all are damaged.
        """
        damage: list[str] = []
        for name in reversed(checkpoint_names(self.storage)):
            try:
                record = read_record(self.storage, name)
                return Restored(record=record, state=self.load(record), damage=tuple(damage))
            except CheckpointError as error:
                damage.append(str(error))
        if not damage:
            return None
        raise CheckpointError(
            f"no checkpoint of {self.storage.url} can be read; give another --out to begin anew. {'; '.join(damage)}"
        )

    def sweep(self) -> None:
        """Delete incomplete checkpoints of killed runs. The caller holds the run's lock."""
        complete = set(checkpoint_names(self.storage))
        with store_errors(self.storage.url):
            paths = self.storage.fs.find(self.storage.path(FOLDER))
        folders = {str(path).rsplit("/", 2)[-2] for path in paths if not str(path).endswith(".json")}
        for name in folders - complete:
            self._remove(name)

    def _remove(self, name: str) -> None:
        # The record first: without it the checkpoint does not exist.
        self.storage.delete(f"{FOLDER}/{name}.json")
        with store_errors(self.storage.url), contextlib.suppress(FileNotFoundError):
            self.storage.fs.rm(self.storage.path(f"{FOLDER}/{name}"), recursive=True)
