"""The model `x-dyna` from a folder of small networks in the published forms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from golden import GoldenCase, golden_case
from golden_x_dyna import config_of, resampler_config_of, resampler_of, write_published
from safetensors.torch import save_file
from stand_in_features import save_image_encoder, save_text_encoder, save_vae
from stand_in_weights import missing_weights
from tiny_systems import NUM_FRAMES, SIDE_PX, request

from models.animation.system import LoadOptions, Model
from models.catalogue import CATALOGUE
from models.systems import find_model
from models.weights.resolve import MissingWeightsError, place

pytestmark = pytest.mark.usefixtures("one_thread")

ENTRIES = ("x-dyna", "sd-vae-ft-mse", "ip-adapter-image-encoder", "ip-adapter-plus", "sd-1.5-text-encoder")


def first_file(name: str, folder: Path) -> Path:
    """Where the first file of a catalogue entry belongs in a folder of weights."""
    return place(CATALOGUE[name], CATALOGUE[name].files[0], folder)


@pytest.fixture(scope="module")
def case() -> GoldenCase:
    return golden_case("x_dyna_tiny")


@pytest.fixture(scope="module")
def filled(case: GoldenCase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, other = tmp_path_factory.mktemp("weights"), tmp_path_factory.mktemp("resampler")
    config, resampler = config_of(case), resampler_config_of(case)
    write_published(case, first_file("x-dyna", folder).parents[1])
    save_vae(first_file("sd-vae-ft-mse", folder).parent)
    save_image_encoder(first_file("ip-adapter-image-encoder", folder).parent, width=resampler.features_width)
    save_text_encoder(first_file("sd-1.5-text-encoder", folder).parent, width=config.unet.context_width)
    tensors = resampler_of(case, write_published(case, other)).state_dict()
    save_file(
        {f"image_proj.{name}": tensor.contiguous() for name, tensor in tensors.items()},
        first_file("ip-adapter-plus", folder),
    )
    return folder


@pytest.fixture
def model(case: GoldenCase, monkeypatch: pytest.MonkeyPatch) -> Model:
    """The registered model at the size of the files."""
    monkeypatch.setattr("models.appearance.ip_adapter.ResamplerConfig", lambda: resampler_config_of(case))
    found = find_model("x-dyna")
    return replace(found, variant=replace(found.variant, config=replace(config_of(case), num_steps=2)))


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[Path], Path]:
    """A copy of a folder, of links to its files."""

    def copy(folder: Path) -> Path:
        for path in folder.rglob("*"):
            if path.is_file():
                link = tmp_path / "copy" / path.relative_to(folder)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(path)
        return tmp_path / "copy"

    return copy


def test_all_parts_are_read_from_their_published_files(model: Model, filled: Path) -> None:
    assert [weights.name for weights in model.weights] == list(ENTRIES)
    assert missing_weights(model, filled) == []
    animator = model.load(LoadOptions(weights=str(filled), dtype="float32"))
    width = model.variant.config.unet.context_width
    assert animator.encoders.text_tokens_1LD is not None
    assert animator.encoders.text_tokens_1LD.shape == (1, 5, width)
    inputs = request()
    made = animator.animate(inputs)
    assert made.frames_THWC.shape == (NUM_FRAMES, SIDE_PX, SIDE_PX, 3)
    assert made.fallbacks == (f"short_window={NUM_FRAMES}",)
    other = replace(inputs, reference_HWC=np.ascontiguousarray(inputs.reference_HWC[:, ::-1]))
    assert not np.array_equal(animator.animate(other).frames_THWC, made.frames_THWC)


@pytest.mark.parametrize("name", ENTRIES)
def test_a_part_that_is_absent_is_named_before_anything_is_loaded(
    name: str, model: Model, filled: Path, copied: Callable[[Path], Path]
) -> None:
    folder = copied(filled)
    file = first_file(name, folder)
    file.unlink()
    assert missing_weights(model, folder) == [name]
    with pytest.raises(MissingWeightsError, match=f"{name}.*{file.name}"):
        model.load(LoadOptions(weights=str(folder)))
