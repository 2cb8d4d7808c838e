from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from golden import GOLDEN
from golden_networks import checkpoint, frames, network_case
from golden_weights import read_shapes

from models.common.digest import CheckpointError
from models.metrics.networks.dynamic_textures import DTDB_CLASSES, DynamicTexturesI3d
from models.metrics.networks.i3d import I3d

FILE = "I3D_16.pth.tar"
CASE = network_case()
DIVISOR = CASE.description["config"]["dynamic_textures"]["width_divisor"]


def test_features_are_those_of_dtfvd(tmp_path: Path) -> None:
    network = DynamicTexturesI3d(checkpoint(CASE, FILE, tmp_path), width_divisor=DIVISOR)
    clip, outputs = frames(CASE, "frames_texture"), CASE.outputs()
    features = torch.from_numpy(network.features(clip))
    torch.testing.assert_close(features, outputs["dtfvd.features"], atol=1e-4, rtol=0)
    repeated = torch.from_numpy(network.features(clip[:7]))
    torch.testing.assert_close(repeated, outputs["dtfvd_short.features"], atol=1e-4, rtol=0)
    assert network.features(np.concatenate([clip, clip[:9]])).shape == (1, 1024 // DIVISOR)


def test_the_published_file_fits_the_network() -> None:
    with torch.device("meta"):
        network = I3d(num_classes=DTDB_CLASSES)
    published = read_shapes(GOLDEN / "released_keys" / "I3D_16.json")
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == published


def test_i3d_of_kinetics_is_refused(tmp_path: Path) -> None:
    path = checkpoint(CASE, FILE, tmp_path)
    whole = torch.load(path, weights_only=True)
    whole["state_dict"]["logits.conv3d.bias"] = torch.zeros(400)
    torch.save(whole, path)
    with pytest.raises(CheckpointError, match=r"1 misshapen \(logits\.conv3d\.bias \(400,\) instead of \(18,\)"):
        DynamicTexturesI3d(path, width_divisor=DIVISOR)
