"""The model `x-dyna` from a folder of small networks in the published forms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stand_in_weights import missing_weights
from stand_in_x_dyna import first_file, save_encoders, save_published, small_model
from tiny_systems import NUM_FRAMES, SIDE_PX, request

from models.animation.system import LoadOptions, Model
from models.weights.resolve import MissingWeightsError

pytestmark = pytest.mark.usefixtures("one_thread")

ENTRIES = ("x-dyna", "sd-vae-ft-mse", "ip-adapter-image-encoder", "ip-adapter-plus", "sd-1.5-text-encoder")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    save_published(folder)
    save_encoders(folder)
    return folder


@pytest.fixture(scope="module")
def model() -> Model:
    return small_model()


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
