"""Systems as data: digests, and the entries of every registered model."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from types import MappingProxyType

import numpy as np
import pytest
from stand_in_weights import missing_weights

from jobs.recipes.table import RECIPES
from models.animation.signals import (
    BASE_SIGNALS,
    CONTROLS,
    DRIVING_FRAMES,
    FACE_CONTROL,
    REFERENCE_MASK,
    SCENE_SIGNALS,
    Signal,
    collect_signals,
)
from models.animation.system import Model
from models.appearance.encoders import ENCODER_SETS
from models.catalogue import CATALOGUE
from models.pose.pose_map import PRESETS
from models.systems import (
    DEFAULT_MODEL,
    FORMER_NAMES,
    SYSTEMS,
    UnknownModelError,
    find_model,
    former_name_notice,
    model_names,
)
from models.weights.resolve import MissingWeightsError, place

MODELS = [find_model(name) for name in model_names()]
PUBLISHED = [model for model in MODELS if not model.variant.ships]


@pytest.fixture(params=MODELS, ids=lambda model: model.name)
def model(request: pytest.FixtureRequest) -> Model:
    found: Model = request.param
    return found


def write_weights(model: Model, folder: Path) -> list[Path]:
    """Files with the names of the published ones."""
    paths = [place(weights, file, folder) for weights in model.weights for file in weights.files]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    return paths


# Digests


def test_a_digest_depends_on_configuration_version_and_encoders(model: Model, tmp_path: Path) -> None:
    folder = None
    if not model.variant.ships:
        write_weights(model, tmp_path)
        folder = str(tmp_path)
    digest = model.digest(folder)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)
    assert model.digest(folder) == digest
    config = model.variant.config
    others = [
        replace(model, variant=replace(model.variant, config=replace(config, num_steps=config.num_steps + 1))),
        replace(
            model,
            variant=replace(
                model.variant, config=replace(config, windows=replace(config.windows, size=config.windows.size + 1))
            ),
        ),
        replace(model, system=replace(model.system, version=model.system.version + 1)),
        replace(model, variant=replace(model.variant, short_side_px=model.variant.short_side_px + 8)),
    ]
    digests = [other.digest(folder) for other in others]
    assert len({digest, *digests}) == 1 + len(digests)
    # What a message says changes no frame.
    assert replace(model, variant=replace(model.variant, notice="new words")).digest(folder) == digest


def test_a_digest_depends_on_the_version_of_the_systems_signals_that_the_variant_needs() -> None:
    def with_signal(version: int, *, needed: bool = True) -> Model:
        model = find_model(DEFAULT_MODEL)
        signals = {"motion": Signal(compute=lambda base: base[DRIVING_FRAMES], version=version)}
        needs = model.variant.needs | ({"motion"} if needed else set())
        return replace(
            model,
            system=replace(model.system, signals=MappingProxyType(signals)),
            variant=replace(model.variant, needs=needs),
        )

    assert with_signal(1).digest(None) != with_signal(2).digest(None)
    assert with_signal(1, needed=False).digest(None) == with_signal(2, needed=False).digest(None)


@pytest.mark.parametrize("model", PUBLISHED, ids=lambda model: model.name)
def test_a_digest_depends_on_every_file_but_not_on_its_place(model: Model, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    with pytest.raises(MissingWeightsError, match=re.escape(Path(model.variant.weights.files[0].name).name)):
        model.digest(str(folder))
    assert set(missing_weights(model, folder)) == {weights.name for weights in model.weights}
    paths = write_weights(model, folder)
    digest = model.digest(str(folder))
    assert missing_weights(model, folder) == []
    copytree(folder, tmp_path / "elsewhere" / "copy")
    assert model.digest(str(tmp_path / "elsewhere" / "copy")) == digest
    for path in paths:
        path.write_text(f"other {path.name}")
        changed = model.digest(str(folder))
        assert changed != digest, path
        digest = changed


# Registered models


def test_a_variant_refers_to_entries_that_exist(model: Model) -> None:
    variant, system = model.variant, model.system
    assert all(CATALOGUE[weights.name] == weights for weights in model.weights)
    provided = BASE_SIGNALS | SCENE_SIGNALS | {REFERENCE_MASK, FACE_CONTROL, CONTROLS}
    assert variant.needs <= provided | system.signals.keys()
    assert variant.encoders in ENCODER_SETS
    assert variant.config.pose_preset in PRESETS
    assert system.name in RECIPES
    assert variant.short_side_px % 8 == 0
    assert SYSTEMS[system.name] is system


def test_the_channels_of_a_network_are_those_of_its_latents(model: Model) -> None:
    channels = 16 if model.variant.encoders == "puppets" else 4
    assert (model.variant.config.unet.in_channels, model.variant.config.unet.out_channels) == (channels, channels)


def test_names_are_unique_and_recipes_have_their_systems() -> None:
    assert len(set(model_names())) == len(model_names())
    assert RECIPES.keys() == SYSTEMS.keys()
    assert DEFAULT_MODEL in model_names()


def test_an_unknown_model_is_refused_with_a_close_name_or_all() -> None:
    with pytest.raises(UnknownModelError, match="no model is called 'animate-y'; did you mean animate-x"):
        find_model("animate-y")
    with pytest.raises(UnknownModelError, match=", ".join(sorted(model_names()))):
        find_model("q")


def test_former_names_are_accepted_with_a_notice() -> None:
    for former, name in FORMER_NAMES.items():
        assert find_model(former).name == name
        assert former not in model_names()
        notice = former_name_notice(former)
        assert notice is not None
        assert f"{former} is now called {name}" in notice
        assert former_name_notice(name) is None


# Signals


def test_own_signals_are_computed_and_the_others_taken() -> None:
    frames = np.arange(6).reshape(3, 2)
    own = {"double": Signal(compute=lambda base: 2 * base[DRIVING_FRAMES])}
    signals = collect_signals(["double", DRIVING_FRAMES], own, {DRIVING_FRAMES: frames})
    np.testing.assert_array_equal(signals["double"], 2 * frames)
    assert signals[DRIVING_FRAMES] is frames
    with pytest.raises(ValueError, match="no signal is named 'other'; there are double, driving_frames"):
        collect_signals(["other"], own, {DRIVING_FRAMES: frames})
