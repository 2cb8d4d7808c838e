from __future__ import annotations

import re

import pytest

from models.catalogue import CATALOGUE, entry
from models.weights.entry import Hub, Loader, Weights
from models.weights.licence import APACHE
from models.weights.resolve import locate

SUFFIXES = {
    Loader.TFLITE: {".tflite"},
    Loader.ONNX: {".onnx"},
    Loader.TORCHSCRIPT: {".pt2"},
    Loader.SAFETENSORS: {".safetensors"},
    Loader.TRANSFORMERS: {".json", ".safetensors"},
    Loader.DIFFUSERS: {".json", ".safetensors"},
    Loader.TORCH: {".tar", ".json", ".bin", ".pth", ".pt", ".ckpt"},
    Loader.JSON: {".json", ".txt"},
}


@pytest.mark.parametrize("weights", CATALOGUE.values(), ids=str)
def test_an_entry_is_sound(weights: Weights) -> None:
    assert re.fullmatch(r"[a-z0-9.-]+", weights.name)
    assert re.fullmatch(r"[\w.-]+(/[\w.-]+)+", weights.repository)
    assert weights.licence.name
    assert all(re.fullmatch(r"[\w, -]+", use) for use in weights.licence.restrictions)
    assert {"." + file.name.rsplit(".", 1)[-1] for file in weights.files} <= SUFFIXES[weights.loader]
    for file in weights.files:
        assert ".." not in file.name
        assert not file.name.startswith("/")
        assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)


def test_non_commercial_licences_are_marked() -> None:
    for weights in CATALOGUE.values():
        if "NC" in weights.licence.name or "research" in weights.licence.name:
            assert weights.licence.commercial_use is False
    assert {weights.system for weights in CATALOGUE.values() if weights.licence.commercial_use is False} == {
        "Sapiens",
        "Depth Anything V2",
        "Animate Anyone (MusePose)",
    }


def test_forbidden_uses_are_named() -> None:
    """Of licences that were read; every other one is a usual licence without restrictions, or says nothing."""
    restricted = {weights.licence.name for weights in CATALOGUE.values() if weights.licence.restrictions}
    assert restricted == {
        "CC-BY-NC-4.0",
        "MusePose (research only)",
        "CreativeML OpenRAIL-M",
        "CreativeML OpenRAIL++-M",
        "SAM License",
        "Sapiens2 License",
    }
    assert {"deepfakes and impersonation", "biometric processing"} <= set(
        CATALOGUE["sapiens2-pose-1b"].licence.restrictions
    )
    assert all(weights.licence == APACHE for weights in CATALOGUE.values() if weights.hub is Hub.PACKAGE), (
        "what ships with the project may be sold"
    )


def test_weights_that_ship_are_there() -> None:
    shipped = {name for name, weights in CATALOGUE.items() if weights.hub is Hub.PACKAGE}
    assert shipped >= {"animate-anyone-puppets", "animate-x-puppets", "puppets-vae", "puppets-image-encoder"}
    for name in shipped:
        assert all(locate(CATALOGUE[name], None).values()), name


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="no weights are named 'sam4'"):
        entry("sam4")
