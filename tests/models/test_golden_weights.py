"""Generated weights and inputs are the ones that the stored outputs were computed with."""

from __future__ import annotations

import zlib

import golden_weights
import pytest
from golden import TINY_NETWORKS, golden_case


@pytest.mark.parametrize("name", TINY_NETWORKS)
def test_generated_weights_have_the_recorded_checksums(name: str) -> None:
    case = golden_case(name)
    checkpoints = case.description["checkpoints"]
    assert checkpoints
    for checkpoint in checkpoints:
        tensors = case.state_dict(checkpoint)
        assert len(tensors) == checkpoint["keys"]
        assert sum(tensor.numel() for tensor in tensors.values()) == checkpoint["parameters"]
        assert golden_weights.checksum(tensors) == checkpoint["crc32"], checkpoint["file"]


@pytest.mark.parametrize(
    ("name", "shape", "seed", "kind", "crc32"),
    [
        ("latents", (1, 4, 4, 16, 16), 11, "normal", 0x6FD7BA8B),
        ("pose_images", (1, 3, 4, 128, 128), 13, "uniform", 0xAF1CE11D),
    ],
)
def test_generated_inputs_have_the_recorded_checksums(
    name: str, shape: tuple[int, ...], seed: int, kind: golden_weights.Kind, crc32: int
) -> None:
    values = golden_weights.network_input(name, shape, seed, kind)
    assert values.shape == shape
    assert zlib.crc32(values.tobytes()) == crc32


def test_values_have_the_stated_range_and_deviation() -> None:
    values = golden_weights.normal("weight", (100, 1000), 0, std=2.0)
    assert abs(values.mean()) < 0.03
    assert values.std() == pytest.approx(2.0, rel=0.01)
    assert abs(values).max() < 2 * 3.47
    values = golden_weights.uniform("image", (100, 1000), 0)
    assert values.min() >= 0
    assert values.max() < 1
    assert values.mean() == pytest.approx(0.5, abs=0.01)
