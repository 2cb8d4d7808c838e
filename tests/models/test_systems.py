"""Registered models: loading from files. Names, digests and entries: `tests/models/animation/test_systems.py`."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
import torch
from stand_in_weights import missing_weights
from tiny_animate_x import TINY

from models.animate_x.network import AnimateX
from models.animation.system import LoadOptions
from models.appearance.image_encoder import new_puppets_image_encoder
from models.appearance.open_clip import OpenClip
from models.appearance.vae import PUPPETS_VAE, Vae
from models.systems import find_model, model_names
from models.weights import resolve
from models.weights.resolve import MissingWeightsError, place, shipped_path

SHIPPED = [name for name in model_names() if find_model(name).variant.ships]


@pytest.mark.parametrize("name", ["animate-x", "unianimate"])
def test_a_published_model_is_loaded_from_its_files_and_digested_by_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = find_model(name)
    with pytest.raises(MissingWeightsError, match=model.variant.weights.files[0].name):
        model.digest(str(tmp_path))
    assert missing_weights(model, tmp_path) == [weights.name for weights in model.weights]
    paths = [place(weights, weights.files[0], tmp_path) for weights in model.weights]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    opened: list[Any] = []

    def network(path: Path, config: object) -> AnimateX:
        opened.append((path, config))
        return AnimateX(TINY)

    def clip(path: Path) -> OpenClip:
        opened.append(path)
        return OpenClip(image_encoder=new_puppets_image_encoder(), empty_text_1LD=torch.ones(1, 3, 64))

    def vae(path: Path) -> Vae:
        opened.append(path)
        return Vae(PUPPETS_VAE)

    monkeypatch.setattr("models.animate_x.implementation.load_published", network)
    monkeypatch.setattr("models.appearance.open_clip.load_open_clip", clip)
    monkeypatch.setattr("models.appearance.vae.published_ldm_vae", vae)
    animator = model.load(LoadOptions(weights=str(tmp_path), dtype="float32"))
    assert (animator.name, animator.needs) == (name, model.variant.needs)
    network_path, vae_path, clip_path = paths
    assert sorted(map(str, opened)) == sorted(map(str, [(network_path, model.variant.config), clip_path, vae_path]))
    assert missing_weights(model, tmp_path) == []
    before = model.digest(str(tmp_path))
    network_path.write_text("another")
    assert model.digest(str(tmp_path)) != before


@pytest.mark.parametrize("name", SHIPPED)
def test_a_model_that_ships_is_whole_and_says_what_it_is_for(name: str) -> None:
    model = find_model(name)
    assert model.digest(None).startswith("sha256:")
    assert missing_weights(model, None) == []
    assert "puppets" in str(model.variant.notice)
    assert model.load(LoadOptions()).name == name
    assert shipped_path(model.variant.weights).stat().st_size < 25e6


@pytest.mark.parametrize("name", SHIPPED)
def test_each_file_of_a_model_that_ships_is_part_of_its_digest(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = find_model(name)
    before = model.digest(None)
    for weights in model.weights:
        copy = tmp_path / weights.repository / weights.files[0].name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copyfile(shipped_path(weights), copy)
    monkeypatch.setattr(resolve, "CHECKOUT", tmp_path)
    assert model.digest(None) == before
    digests = {before}
    for weights in model.weights:
        with shipped_path(weights).open("ab") as file:
            file.write(b"more")
        digests.add(model.digest(None))
    assert len(digests) == 1 + len(model.weights)
    shipped_path(model.variant.weights).unlink()
    with pytest.raises(MissingWeightsError, match="it is part of this project"):
        model.digest(None)
