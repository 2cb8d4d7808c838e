"""Trained models by their folder: what a run or a publication is called, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from animation_cards import RUN
from tiny_systems import CONFIGS, tiny_model

from jobs.cli.options import typed_model
from jobs.engine.config import resolved
from jobs.training.requested_models import RequestedModels, request_id_parts
from jobs.training.trained_models import open_trained
from models.animation.system import LoadOptions
from models.common.checkpoint import save_checkpoint
from models.common.digest import CheckpointError
from models.systems import UnknownModelError
from models.weights.local import folder_label
from models.weights.resolve import MissingWeightsError

NAME = "animate-anyone-puppets"


def write(folder: Path, name: str = NAME, *, seed: int = 0, **changes: Any) -> Path:
    """A publication of random weights. `changes`: of the run's record."""
    torch.manual_seed(seed)
    record = {**RUN, "model": {"name": name, "network": resolved(CONFIGS[name])}, **changes}
    tensors = tiny_model(name).new_network().state_dict()
    save_checkpoint(tensors, folder / "network.safetensors", metadata={"runs": [record]})
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    return write(tmp_path / "runs" / "mine")


def requested(folder: Path, typed: str | None = None) -> RequestedModels:
    return RequestedModels(typed=typed, folders=[str(folder)], weights=None)


@pytest.mark.parametrize("name", [name for name in CONFIGS if name.endswith("-puppets")])
def test_a_network_of_any_size_is_loaded_with_its_own_configuration(name: str, tmp_path: Path) -> None:
    trained = open_trained(str(write(tmp_path, name)))
    assert trained.model.name == f"{name}@{tmp_path.name}"
    animator = trained.load(LoadOptions(dtype="float32"))
    assert animator.config == CONFIGS[name]
    for key, value in animator.network.state_dict().items():
        assert value.isfinite().all(), key


@pytest.mark.parametrize(
    ("place", "label"),
    [
        ("/runs/mine", "mine"),
        ("/runs/mine/published", "mine-published"),
        ("/runs/mine/published/network.safetensors", "mine-published"),
        ("/runs/mine/checkpoints/step-00000500/weights.safetensors", "mine-step-00000500"),
        ("/weights/epoch 3.safetensors", "epoch_3"),
        ("s3://bucket/runs/mine", "mine"),
        ("/", "model"),
        ("/" + "x" * 300, "x" * 60),
    ],
)
def test_labels_say_which_run_it_is(place: str, label: str) -> None:
    assert folder_label(place) == label


def test_typed_places_are_made_absolute(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for typed in ("runs/mine", "./runs/../runs/mine", str(folder)):
        assert typed_model(typed) == str(folder)
    assert typed_model("runs") == str(tmp_path / "runs")  # an existing folder
    (tmp_path / NAME).mkdir()
    for name in (NAME, "moore-animate-anyone", "s3://bucket/run", None):
        assert typed_model(name) == name
    with pytest.raises(UnknownModelError, match="no model is called 'animate-z'"):
        typed_model("animate-z")


def test_weights_are_the_digest_and_the_place_is_not(folder: Path, tmp_path: Path) -> None:
    first = requested(tmp_path).describe(str(folder))
    (tmp_path / "copy").mkdir()
    again = requested(tmp_path).describe(str(write(tmp_path / "copy")))
    other = requested(tmp_path).describe(str(write(folder, seed=1)))
    assert (first.name, again.name) == (f"{NAME}@mine", f"{NAME}@copy")
    assert first.digest == again.digest != other.digest
    assert first.short_side_px == 192


def test_weights_that_change_while_a_job_runs_are_not_used(folder: Path) -> None:
    trained = open_trained(str(folder))
    write(folder, seed=1)
    with pytest.raises(MissingWeightsError, match="is not the file that the job was planned with"):
        trained.load(LoadOptions())
    (folder / "network.safetensors").unlink()
    with pytest.raises(MissingWeightsError, match=r"no checkpoint at .* on this machine"):
        trained.load(LoadOptions())


def test_rows_name_only_places_in_the_folders_of_the_job(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    write(outside)
    (tmp_path / "runs" / "link").symlink_to(outside)
    models = requested(tmp_path / "runs", typed=str(outside))
    for place in (f"{folder}/../../outside/", str(tmp_path / "runs" / "link"), "s3://bucket/run", "http://127.0.0.1/x"):
        spec = models.describe(place)
        assert (spec.name, spec.reason) == (place, "NotAllowed")
    assert models.describe("runs/mine").reason == "UnknownModel"
    for allowed in (str(folder), str(outside)):
        assert models.describe(allowed).reason is None
    assert set(models.loadable) == {f"{NAME}@mine", f"{NAME}@outside"} == set(models.models)


def test_two_models_of_one_name_are_not_mixed(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "others" / "mine"
    other.mkdir(parents=True)
    write(other, seed=1)
    models = requested(tmp_path)
    assert models.describe(str(folder)).reason is None
    spec = models.describe(str(other))
    assert spec.reason == "InvalidRow"
    assert f"would both be called {NAME}@mine in the results" in str(spec.message)
    with pytest.raises(ValueError, match=rf"would both be called {NAME}\.mine"):
        request_id_parts([str(folder), str(other)])
    assert request_id_parts([str(folder), NAME]) == {str(folder): f"{NAME}.mine", NAME: NAME}


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"runs": []},
        {"runs": 5},
        {"runs": [{"model": "x"}]},
        {"runs": [{"model": {"name": ["a"], "network": {}}}]},
        {"runs": [{"model": {"name": "animate-z", "network": {}}}]},
        {"runs": [{"model": {"name": NAME, "network": [1]}}]},
        {"runs": [{"model": {"name": NAME, "network": {"depth_of_soul": 1}}}]},
        {"runs": [{"model": {"name": NAME, "network": {"num_steps": "many"}}}]},
        {"runs": [{"model": {"name": NAME, "network": {}}, "encoders": {"digests": ["sha256:0"], "folder": 5}}]},
    ],
)
def test_hostile_metadata_are_one_error(metadata: dict[str, Any], tmp_path: Path) -> None:
    save_checkpoint({"a": torch.zeros(1)}, tmp_path / "network.safetensors", metadata=metadata)
    with pytest.raises(CheckpointError) as raised:
        open_trained(str(tmp_path))
    assert "\n" not in str(raised.value)
    spec = requested(tmp_path).describe(str(tmp_path))
    assert (spec.reason, spec.digest) == ("MissingWeights", None)


def test_a_huge_configuration_allocates_nothing(tmp_path: Path) -> None:
    """Ten terabytes for tensors that the file does not have."""
    network = resolved(CONFIGS[NAME])
    network["unet"]["widths"] = [16, 1_600_000]
    trained = open_trained(str(write(tmp_path, model={"name": NAME, "network": network})))
    with pytest.raises(CheckpointError, match="misshapen"):
        trained.load(LoadOptions())


def test_other_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"{tmp_path} holds no trained model; give the --out"):
        open_trained(str(tmp_path))
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*absent"):
        open_trained(str(tmp_path / "absent.safetensors"))
