from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from golden import GOLDEN
from golden_networks import checkpoint, frames, network_case
from golden_weights import read_shapes, state_dict

from models.common.digest import CheckpointError
from models.metrics.networks.dino import DEVIATION, DINO_VIT_B16, MEAN, Dino
from models.metrics.networks.frames import shorter_side, to_tensor
from models.metrics.networks.videomae import SOMETHING_SOMETHING_CLASSES, VIDEOMAE_VIT_G, VideoMae
from models.metrics.networks.vit import ClipTransformer, ImageTransformer, VitConfig, joined_biases

DINO_FILE = "dino_vitbase16_pretrain.pth"
VIDEOMAE_FILE = "vit_g_hybrid_pt_1200e_ssv2_ft.pth"
CASE = network_case()


@pytest.fixture
def dino(tmp_path: Path) -> Dino:
    return Dino(checkpoint(CASE, DINO_FILE, tmp_path), config=VitConfig(**CASE.description["config"]["dino"]))


@pytest.fixture
def videomae(tmp_path: Path) -> VideoMae:
    config = VitConfig(**CASE.description["config"]["videomae"])
    return VideoMae(checkpoint(CASE, VIDEOMAE_FILE, tmp_path), config=config)


@pytest.mark.parametrize("name", ["wide", "tall", "square", "small_square"])
def test_features_are_those_of_dino_behind_the_transform_of_vbench(dino: Dino, name: str) -> None:
    features = dino.features(frames(CASE, f"frames_{name}"))
    assert features.dtype == np.float32
    torch.testing.assert_close(torch.from_numpy(features), CASE.outputs()[f"dino_{name}.features"], atol=1e-4, rtol=0)


def test_pixels_are_those_of_the_transform_of_vbench() -> None:
    resized = shorter_side(to_tensor(frames(CASE, "frames_tall")), 64, mode="bilinear")
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
    torch.testing.assert_close(
        (resized / 255 - mean) / deviation, CASE.outputs()["dino_tall.pixels"], atol=1e-5, rtol=0
    )


def test_a_frame_does_not_depend_on_the_others_of_its_clip(dino: Dino) -> None:
    clip = np.random.default_rng(0).integers(0, 256, (18, 20, 24, 3), dtype=np.uint8)  # more than a batch
    features = dino.features(clip)
    for index in (0, 15, 16, 17):
        np.testing.assert_allclose(dino.features(clip[index : index + 1])[0], features[index], atol=1e-5)


def test_positions_fit_squares_of_other_sizes(dino: Dino) -> None:
    # 3 x 3 patches in place of the 4 x 4 that were trained.
    assert dino.network(torch.zeros(1, 3, 48, 48)).shape == (1, dino.network.config.width)


def test_features_are_those_of_videomae_as_cd_fvd_computes_them(videomae: VideoMae) -> None:
    clip = frames(CASE, "frames_video")
    features = videomae.features(clip)
    torch.testing.assert_close(torch.from_numpy(features), CASE.outputs()["videomae.features"], atol=1e-4, rtol=0)
    # A remainder is left out, and a clip of less than a window has no features.
    np.testing.assert_allclose(videomae.features(clip[:31]), features[:1], atol=1e-6)
    assert videomae.features(clip[:15]).shape == (0, features.shape[1])


def test_the_published_files_fit_the_networks() -> None:
    with torch.device("meta"):
        dino = ImageTransformer(DINO_VIT_B16)
        videomae = ClipTransformer(VIDEOMAE_VIT_G, num_classes=SOMETHING_SOMETHING_CLASSES)
    published = read_shapes(GOLDEN / "released_keys" / "dino_vitbase16_pretrain.json")
    assert {key: list(value.shape) for key, value in dino.state_dict().items()} == published
    published = read_shapes(GOLDEN / "released_keys" / "vit_g_hybrid_pt_1200e_ssv2_ft.json")
    tensors = {key: torch.empty(shape, device="meta") for key, shape in published.items()}
    renamed = {key: value.shape for key, value in joined_biases(tensors).items()}
    assert renamed == {key: value.shape for key, value in videomae.state_dict().items()}


def test_keys_have_no_bias() -> None:
    joined = joined_biases({"a.q_bias": torch.ones(2), "a.v_bias": torch.full((2,), 3.0), "b.bias": torch.ones(1)})
    assert joined.keys() == {"a.qkv.bias", "b.bias"}
    assert joined["a.qkv.bias"].tolist() == [1, 1, 0, 0, 3, 3]


@pytest.mark.parametrize("key", ["blocks.1.attn.v_bias", "blocks.0.attn.q_bias", "fc_norm.weight", "head.bias"])
def test_a_file_without_a_tensor_is_refused(tmp_path: Path, key: str) -> None:
    path = checkpoint(CASE, VIDEOMAE_FILE, tmp_path)
    tensors = torch.load(path, weights_only=True)
    del tensors["module"][key]
    torch.save(tensors, path)
    with pytest.raises(CheckpointError, match=r"1 missing \("):
        VideoMae(path, config=VitConfig(**CASE.description["config"]["videomae"]))


def test_half_precision_is_read_as_float32(tmp_path: Path) -> None:
    path = checkpoint(CASE, VIDEOMAE_FILE, tmp_path)
    halved = {key: value.half() for key, value in torch.load(path, weights_only=True)["module"].items()}
    torch.save({"module": halved}, path)
    network = VideoMae(path, config=VitConfig(**CASE.description["config"]["videomae"])).network
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}


def test_generated_weights_are_the_recorded_ones() -> None:
    from golden_weights import checksum

    for entry in CASE.description["checkpoints"]:
        tensors = state_dict(read_shapes(CASE.folder / entry["spec"]), entry["seed"])
        assert checksum(tensors) == entry["crc32"]
