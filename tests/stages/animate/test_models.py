from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
import torch
from models.animate_anyone.animator import AnimateAnyoneAnimator
from models.animate_x.animator import AnimateXAnimator
from stages.animate.models import MODELS, LoadOptions, MissingWeightsError
from tiny_animate_x import TINY, new_network

from models.animate_anyone import weights as animate_anyone_weights
from models.animate_x.config import CONFIGS
from models.appearance.image_encoder import new_puppets_image_encoder
from models.appearance.open_clip import OpenClip
from models.appearance.vae import CHECKPOINTS, PUPPETS_VAE, Vae
from models.catalogue import CATALOGUE
from models.pose.pose_map import PRESETS
from models.weights.resolve import place

FILES = {"animate-x": "animate-x_ckpt.pth", "unianimate": "unianimate_16f_32f_non_ema_223000.pth"}


@pytest.fixture(params=sorted(FILES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def parts(name: str, folder: Path) -> list[Path]:
    """Where the files of a system belong."""
    entries = [CATALOGUE[part] for part in (name, "animate-x-clip", "animate-x-vae")]
    return [place(entry, entry.files[0], folder) for entry in entries]


def test_files_that_are_not_here_are_named_before_anything_is_loaded(name: str, tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match=FILES[name]):
        MODELS[name].digest(str(tmp_path))


def test_a_system_is_loaded_from_its_three_files_and_digested_by_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in parts(name, tmp_path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    opened: list[Any] = []

    def network(path: Path, config: object) -> Any:
        opened.append((path, config))
        return new_network(replace(TINY, pose_preset=CONFIGS[name].pose_preset))

    def clip(path: Path) -> OpenClip:
        opened.append(path)
        return OpenClip(image_encoder=new_puppets_image_encoder(), empty_text_1LD=torch.ones(1, 3, 64))

    def vae(path: Path) -> Vae:
        opened.append(path)
        return Vae(PUPPETS_VAE)

    monkeypatch.setattr("models.animate_x.weights.load_published", network)
    monkeypatch.setattr("models.appearance.open_clip.load_open_clip", clip)
    monkeypatch.setattr("models.appearance.vae.published_ldm_vae", vae)
    model = MODELS[name]
    animator = model.load(LoadOptions(weights=str(tmp_path), dtype="float32"))
    assert isinstance(animator, AnimateXAnimator)
    assert animator.pose_preset == model.pose_preset
    assert model.pose_preset in PRESETS
    network_path, clip_path, vae_path = parts(name, tmp_path)
    assert sorted(map(str, opened)) == sorted(map(str, [(network_path, CONFIGS[name]), clip_path, vae_path]))
    before = model.digest(str(tmp_path))
    network_path.write_text("another")
    assert model.digest(str(tmp_path)) != before


def test_the_model_that_ships_is_whole_and_says_what_it_is_for() -> None:
    model = MODELS["animate-anyone"]
    assert model.digest(None).startswith("sha256:")
    assert "puppets" in str(model.notice)
    assert isinstance(model.load(LoadOptions()), AnimateAnyoneAnimator)


@pytest.mark.parametrize("changed", ["vae.safetensors", "image_encoder.safetensors"])
def test_a_new_vae_or_image_encoder_makes_another_model(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = MODELS["animate-anyone"]
    before = model.digest(None)
    for name in ("vae.safetensors", "image_encoder.safetensors"):
        copyfile(CHECKPOINTS / name, tmp_path / name)
    monkeypatch.setattr("models.appearance.vae.CHECKPOINTS", tmp_path)
    assert model.digest(None) == before
    with (tmp_path / changed).open("ab") as file:
        file.write(b"more")
    assert model.digest(None) != before


def test_a_clone_without_its_checkpoint_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(animate_anyone_weights, "CHECKPOINT", tmp_path / "embedded.safetensors")
    with pytest.raises(MissingWeightsError, match="part of this project"):
        MODELS["animate-anyone"].digest(None)
