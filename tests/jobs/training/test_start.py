from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from golden import golden_case

from jobs.training import start
from jobs.training.model import ModelConfig
from jobs.training.start import own_weights, published_model, runs_of, starting_network
from models.animate_anyone.weights import load_published
from models.animate_anyone_2.config import AnimateAnyone2Config
from models.common.digest import CheckpointError
from models.systems import find_model
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
