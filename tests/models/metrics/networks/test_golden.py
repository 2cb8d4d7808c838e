"""The networks of FID, FID-VID, FVD and LPIPS give the numbers of their public code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden import GOLDEN, GoldenCase, golden_case
from golden_weights import never_run, read_shapes
from numpy.typing import NDArray

from models.metrics.networks.i3d import KineticsI3d
from models.metrics.networks.inception import FidInception
from models.metrics.networks.lpips import Lpips
from models.metrics.networks.resnet3d import KineticsResNet

TOLERANCE = 1e-5
"""Relative to the largest of the values."""


@pytest.fixture(scope="module")
def case() -> GoldenCase:
    return golden_case("metric_networks")


def checkpoint(case: GoldenCase, file: str, folder: Path) -> Path:
    description = next(entry for entry in case.description["checkpoints"] if entry["file"] == file)
    path = folder / file
    case.write_checkpoint(description, path)
    return path


def with_classifier(path: Path) -> Path:
    """Add VGG's classifier, of the published shapes, to a file."""
    tensors = torch.load(path, weights_only=True)
    shapes = read_shapes(GOLDEN / "released_keys" / "vgg16-397923af.json")
    classifier = {key: shape for key, shape in shapes.items() if key.startswith("classifier")}
    torch.save({**tensors, **never_run(classifier)}, path)
    return path


def frames(case: GoldenCase, name: str) -> NDArray[np.uint8]:
    return np.floor(256 * case.inputs()[name].double().numpy()).astype(np.uint8)


def assert_same(case: GoldenCase, name: str, ours: NDArray[np.float32]) -> None:
    theirs = case.outputs()[name].numpy()
    assert ours.shape == theirs.shape
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE * np.abs(theirs).max())


def test_fid(case: GoldenCase, tmp_path: Path) -> None:
    network = FidInception(checkpoint(case, "pt_inception-2015-12-05-6726825d.pth", tmp_path))
    assert_same(case, "fid.features", network.features(frames(case, "video")[:2]))


@pytest.mark.parametrize(
    ("network", "file", "options", "output"),
    [
        (KineticsResNet, "resnet-50-kinetics.pth", {"blocks": (1, 1, 1, 1)}, "fid_vid.features"),
        (KineticsI3d, "i3d_pretrained_400.pt", {}, "fvd.features"),
    ],
)
def test_video_networks(
    case: GoldenCase, tmp_path: Path, network: Any, file: str, options: dict[str, Any], output: str
) -> None:
    ours = network(checkpoint(case, file, tmp_path), **options)
    assert_same(case, output, ours.features(frames(case, "video")))


def test_lpips(case: GoldenCase, tmp_path: Path) -> None:
    vgg = with_classifier(checkpoint(case, "vgg16-397923af.pth", tmp_path))
    lpips = Lpips(vgg, checkpoint(case, "vgg.pth", tmp_path))
    disco, standard = lpips.distances(frames(case, "animation"), frames(case, "truth"))
    assert_same(case, "lpips.disco", disco)
    assert_same(case, "lpips.standard", standard)
