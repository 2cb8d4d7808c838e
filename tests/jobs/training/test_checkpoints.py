from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from jobs.training.checkpoints import FOLDER, CheckpointStore
from models.common.digest import CheckpointError
from models.training.trainer import TrainingState
from stages.io.storage import Storage

STATE = TrainingState(
    step=5,
    weights={"a.weight": torch.arange(6.0).reshape(2, 3)},
    raw_weights={"a.weight": torch.ones(2, 3)},
    optimizer={"a.weight": {"step": torch.tensor(5.0), "exp_avg": torch.zeros(2, 3)}},
    history=torch.rand(5, 3, dtype=torch.float64),
)


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> CheckpointStore:
    url = str(tmp_path / "run") if request.param == "local" else f"memory://{uuid.uuid4().hex}/run"
    return CheckpointStore(Storage(url))


def save(store: CheckpointStore, step: int, *, keep: int = 2) -> None:
    store.save(replace(STATE, step=step), facts={"recipe_key": "k"}, metadata={"about": "this"}, keep=keep)


def test_load_returns_the_saved_state(store: CheckpointStore) -> None:
    assert store.latest() is None
    save(store, 5)
    record = store.latest()
    assert record is not None
    assert (record.step, record.facts) == (5, {"recipe_key": "k"})
    state = store.load(record)
    assert torch.equal(state.weights["a.weight"], STATE.weights["a.weight"])
    assert torch.equal(state.raw_weights["a.weight"], STATE.raw_weights["a.weight"])
    assert torch.equal(state.optimizer["a.weight"]["step"], torch.tensor(5.0))
    assert torch.equal(state.history, STATE.history)


def test_the_last_few_are_kept(store: CheckpointStore) -> None:
    for step in (5, 10, 1_000_000):
        save(store, step)
    assert store.storage.names(FOLDER) == [f"{FOLDER}/step-00000010.json", f"{FOLDER}/step-01000000.json"]
    left = {str(path).rsplit("/", 2)[-2] for path in store.storage.fs.find(store.storage.path(FOLDER))}
    assert left == {FOLDER, "step-00000010", "step-01000000"}


def test_checkpoint_without_record_is_ignored_and_swept(store: CheckpointStore) -> None:
    """Simulates a kill between the files and the record, with any subset of files written."""
    save(store, 5)
    save(store, 10)
    store.storage.delete(f"{FOLDER}/step-00000010.json")
    store.storage.publish(f"{FOLDER}/step-00000015/.weights.safetensors.tmp", b"half")
    record = store.latest()
    assert record is not None
    assert record.step == 5
    store.sweep()
    assert all("step-00000005" in str(path) for path in store.storage.fs.find(store.storage.path(FOLDER)))
    assert store.load(record).step == 5


def test_failed_write_keeps_the_previous_checkpoint(store: CheckpointStore, monkeypatch: pytest.MonkeyPatch) -> None:
    save(store, 5)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        save(store, 10)
    record = store.latest()
    assert record is not None
    assert record.step == 5


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("step-00000010/training.pt", b"PK\x03\x04 cut"),
        ("step-00000010/training.pt", None),
        ("step-00000010/weights.safetensors", b""),
        ("step-00000010.json", b'{"step": 10'),
    ],
)
def test_the_checkpoint_before_a_damaged_one_is_loaded(
    store: CheckpointStore, name: str, content: bytes | None
) -> None:
    save(store, 5)
    save(store, 10)
    damaged = f"{FOLDER}/{name}"
    store.storage.delete(damaged) if content is None else store.storage.publish(damaged, content)
    restored = store.load_last()
    assert restored is not None
    assert (restored.record.step, restored.state.step) == (5, 5)
    (damage,) = restored.damage
    assert "step-00000010" in damage or "cannot read the checkpoint" in damage
    # A run that continues from there keeps what it can resume from, not the damaged one.
    save(store, 7, keep=1)
    assert store.storage.names(FOLDER) == [f"{FOLDER}/step-00000007.json"]


def test_damage_of_all_checkpoints_is_an_error(store: CheckpointStore) -> None:
    assert store.load_last() is None
    for step in (5, 10):
        save(store, step)
        store.storage.publish(f"{FOLDER}/step-{step:08d}/training.pt", b"cut")
    with pytest.raises(CheckpointError, match=r"no checkpoint of .*run can be read; give another --out") as raised:
        store.load_last()
    assert str(raised.value).count("cannot read the checkpoint") == 2
