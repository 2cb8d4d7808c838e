"""Models as they are registered: found by name, loaded from their files, known by their digests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
import torch
from tiny_animate_x import TINY

from models.animate_x.network import AnimateX
from models.animation.system import LoadOptions, Model
from models.appearance.image_encoder import new_puppets_image_encoder
from models.appearance.open_clip import OpenClip
from models.appearance.vae import PUPPETS_VAE, Vae
from models.systems import (
    DEFAULT_MODEL,
    FORMER_NAMES,
    SYSTEMS,
    UnknownModelError,
    find_model,
    former_name_notice,
    model_names,
)
from models.weights import resolve
from models.weights.resolve import MissingWeightsError, place, shipped_path

SHIPPED = [name for name in model_names() if find_model(name).variant.ships]


def test_names_lead_to_models_and_former_names_to_todays() -> None:
    assert find_model(DEFAULT_MODEL).variant.ships
    for former, name in FORMER_NAMES.items():
        assert find_model(former).name == name
        assert name in str(former_name_notice(former))
    assert former_name_notice(DEFAULT_MODEL) is None
    with pytest.raises(UnknownModelError, match=r"no model is called 'animate-y'; did you mean animate-x\?"):
        find_model("animate-y")
    with pytest.raises(UnknownModelError, match="there are animate-anyone, animate-anyone-puppets"):
        find_model("zzz")


def test_names_of_models_are_of_one_system_each() -> None:
    assert len(set(model_names())) == len(model_names())
    assert all(name == system.name for name, system in SYSTEMS.items())


@pytest.mark.parametrize("name", ["animate-x", "unianimate"])
def test_a_published_model_is_loaded_from_its_files_and_digested_by_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = find_model(name)
    with pytest.raises(MissingWeightsError, match=model.variant.weights.files[0].name):
        model.digest(str(tmp_path))
    assert model.missing(tmp_path) == [weights.name for weights in model.weights]
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
    assert model.missing(tmp_path) == []
    before = model.digest(str(tmp_path))
    network_path.write_text("another")
    assert model.digest(str(tmp_path)) != before


@pytest.mark.parametrize("name", SHIPPED)
def test_a_model_that_ships_is_whole_and_says_what_it_is_for(name: str) -> None:
    model = find_model(name)
    assert model.digest(None).startswith("sha256:")
    assert model.missing(None) == []
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


def test_a_default_and_a_version_in_code_are_part_of_a_models_digest() -> None:
    model = find_model(DEFAULT_MODEL)

    def changed(**config: Any) -> Model:
        variant = replace(model.variant, config=replace(model.variant.config, **config))
        return replace(model, variant=variant)

    digests = {
        each.digest(None)
        for each in (
            model,
            changed(num_steps=model.variant.config.num_steps + 1),
            changed(guidance_scale=2.0),
            changed(windows=replace(model.variant.config.windows, overlap=5)),
            changed(pose_preset="moore"),
            replace(model, system=replace(model.system, version=model.system.version + 1)),
            replace(model, variant=replace(model.variant, short_side_px=256)),
        )
    }
    assert len(digests) == 7
    # Where it is drawn and what a person is told of it are no part of what it computes.
    assert replace(model, variant=replace(model.variant, notice="other")).digest(None) == model.digest(None)
