from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from golden import golden_case

from jobs.engine.licences import LicenceError, check_licences
from jobs.training import start
from jobs.training.model import ModelConfig
from jobs.training.start import (
    own_weights,
    published_model,
    published_weights,
    runs_of,
    starting_network,
    weights_behind,
)
from models.animate_anyone.system import MUSEPOSE_WEIGHTS
from models.animate_anyone.weights import load_published
from models.animate_anyone_2.config import AnimateAnyone2Config
from models.catalogue import CATALOGUE
from models.common.checkpoint import save_checkpoint
from models.common.digest import CheckpointError
from models.systems import find_model
from models.weights.licence import APACHE
from models.weights.resolve import shipped_path
from models.x_dyna.config import FACE_FILE, POSE_FILE, UNET_FILE

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_network_starts_from_what_it_shares_with_the_published_weights_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = golden_case("moore_tiny")
    case.write_checkpoints(tmp_path)
    moore = find_model("animate-anyone")
    assert published_model(str(tmp_path)) == moore
    monkeypatch.setattr(
        start, "published_model", lambda _: replace(moore, variant=replace(moore.variant, config=case.config()))
    )
    config = AnimateAnyone2Config(unet=case.config().unet, temporal=case.config().temporal)
    model = ModelConfig(name="animate-anyone-2", network=config, partial_start=True)
    assert own_weights(str(tmp_path), model) is None
    assert runs_of(str(tmp_path), model) == []
    own = starting_network(model, str(tmp_path)).state_dict()
    other = load_published(tmp_path, case.config()).state_dict()
    conv_in = "denoiser.conv_in.weight"
    assert torch.equal(own[conv_in][:, :4], other.pop(conv_in))
    assert not own[conv_in][:, 4:].any()  # environment and masks begin without influence
    assert other
    assert all(torch.equal(own[name], value) for name, value in other.items())

    # Without `partial_start`, weights of another model are refused.
    with pytest.raises(CheckpointError, match=r"holds no network\.safetensors"):
        starting_network(replace(model, partial_start=False), str(tmp_path))


def test_an_incomplete_folder_is_no_published_model(tmp_path: Path) -> None:
    (tmp_path / "denoising_unet.pth").touch()
    assert published_model(str(tmp_path)) is None


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("musepose", ["denoising_unet.pth", "reference_unet.pth", "pose_guider.pth", "motion_module.pth"]),
        ("x-dyna", [POSE_FILE, FACE_FILE, UNET_FILE]),
    ],
)
def test_published_files_are_found_in_the_innermost_folder_of_all(tmp_path: Path, name: str, files: list[str]) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    assert own_weights(str(tmp_path), ModelConfig(name=name)) is None
    if name == "x-dyna":
        assert published_model(str(tmp_path)) == find_model(name)
        (tmp_path / UNET_FILE).unlink()
        with pytest.raises(CheckpointError, match=rf"holds no {UNET_FILE}"):
            own_weights(str(tmp_path), ModelConfig(name=name))


def names(start_from: Path | str | None, model: ModelConfig) -> list[str]:
    return [weights.name for weights in weights_behind(None if start_from is None else str(start_from), model)]


def test_weights_behind_a_run_are_its_encoders_and_what_it_starts_from(tmp_path: Path) -> None:
    encoders = ["sd-vae-ft-mse", "clip-vit-l-image-variations"]
    musepose = ModelConfig(name="musepose")
    assert sorted(names(None, musepose)) == sorted(encoders)
    for file in MUSEPOSE_WEIGHTS.files:
        (tmp_path / Path(file.name).name).touch()
    assert set(names(tmp_path, musepose)) == {*encoders, "musepose"}


def test_files_of_the_same_names_are_told_apart_by_the_publishers_folder(tmp_path: Path) -> None:
    partial = ModelConfig(name="animate-anyone-2", partial_start=True)
    folders = {"musepose": "TMElyralab/MusePose/MusePose", "moore-animate-anyone": "patrolli/AnimateAnyone"}
    for name in ("mine", *folders.values()):
        (tmp_path / name).mkdir(parents=True)
        for file in MUSEPOSE_WEIGHTS.files:
            (tmp_path / name / Path(file.name).name).touch()
    for weights, folder in folders.items():
        assert [one.name for one in published_weights(str(tmp_path / folder), partial)] == [weights]
    assert {one.name for one in published_weights(str(tmp_path / "mine"), partial)} == set(folders)


def test_runs_record_what_they_started_from_and_earlier_ones_did_not(tmp_path: Path) -> None:
    model = ModelConfig(name="animate-anyone-puppets")
    shipped = shipped_path(model.model.variant.weights)
    assert {CATALOGUE[name].licence for name in names(shipped, model)} == {APACHE}
    runs: list[object]
    for runs, behind in (
        ([{"started_from": []}, {"started_from": ["musepose"]}], "musepose"),
        ([{"started_from": []}, {}], str(tmp_path / "w.safetensors")),
        ([{"started_from": "musepose"}], str(tmp_path / "w.safetensors")),
        ([3], str(tmp_path / "w.safetensors")),
        ([], str(tmp_path / "w.safetensors")),
    ):
        save_checkpoint({"x": torch.zeros(1)}, tmp_path / "w.safetensors", metadata={"runs": runs})
        assert names(tmp_path / "w.safetensors", model)[-1] == behind
    with pytest.raises(LicenceError, match=r"w\.safetensors \(that of weights that its training started from"):
        check_licences("commercial", weights=weights_behind(str(tmp_path / "w.safetensors"), model))
