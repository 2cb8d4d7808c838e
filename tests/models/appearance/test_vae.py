from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from stand_in_features import save_vae
from stand_in_networks import randomise

from models.appearance.vae import (
    PUPPETS_VAE,
    Vae,
    VaeConfig,
    decode_frames,
    drawn_latents,
    published_vae,
    puppets_vae,
    standardise,
    to_frames,
    to_images,
)
from models.common.checkpoint import save_checkpoint
from models.common.digest import CheckpointError


def new_vae() -> Vae:
    vae = Vae(PUPPETS_VAE).eval()
    randomise(vae.network)
    return vae


def pictures(num: int, height: int = 32, width: int = 48) -> torch.Tensor:
    return torch.rand((num, 3, height, width), generator=torch.Generator().manual_seed(0)) * 2 - 1


@torch.no_grad()
def test_a_published_folder_computes_what_diffusers_computes(tmp_path: Path) -> None:
    save_vae(tmp_path)
    ours, theirs = published_vae(tmp_path), AutoencoderKL.from_pretrained(tmp_path).eval()
    images = pictures(2)
    latents = ours.encode(images)
    assert latents.shape == (2, 4, 4, 6)
    expected = theirs.encode(images).latent_dist.mean
    torch.testing.assert_close(latents, expected * 0.18215)
    torch.testing.assert_close(ours.decode(latents), theirs.decode(expected).sample, atol=1e-4, rtol=1e-4)
    assert not any(parameter.requires_grad for parameter in ours.parameters())


def test_a_damaged_published_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        published_vae(tmp_path)
    save_vae(tmp_path)
    weights = tmp_path / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    save_file({key: value for key, value in tensors.items() if key != "encoder.conv_in.bias"}, weights)
    with pytest.raises(CheckpointError, match=r"1 missing \(encoder\.conv_in\.bias\)"):
        published_vae(tmp_path)
    save_file({**tensors, "encoder.conv_in.scale": torch.zeros(1)}, weights)
    with pytest.raises(CheckpointError, match=r"1 unexpected \(encoder\.conv_in\.scale\)"):
        published_vae(tmp_path)
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cannot load a AutoencoderKL"):
        published_vae(tmp_path)


@torch.no_grad()
def test_a_picture_does_not_depend_on_its_batch_mates() -> None:
    vae, images = new_vae(), pictures(5)
    latents = vae.encode(images)
    assert latents.shape == (5, 16, 4, 6)
    decoded = vae.decode(latents)
    assert decoded.shape == images.shape
    for index in range(5):
        alone = slice(index, index + 1)
        torch.testing.assert_close(vae.encode(images[alone]), latents[alone], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(vae.decode(latents[alone]), decoded[alone], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_standardising_gives_latents_mean_0_and_variance_1_and_the_same_pictures_and_noise() -> None:
    vae, images = new_vae(), pictures(12)
    mean, log_variance = vae.distribution(images)
    decoded, noisy = vae.decode(mean), vae.decode(mean + (0.5 * log_variance).exp())
    centre, deviation = mean.mean((0, 2, 3)), mean.std((0, 2, 3))
    assert centre.abs().max() > 0.1
    assert (deviation - 1).abs().max() > 0.1
    standardise(vae, centre, deviation)
    latents, changed = vae.distribution(images)
    torch.testing.assert_close(latents.mean((0, 2, 3)), torch.zeros(16), atol=1e-4, rtol=0)
    torch.testing.assert_close(latents.std((0, 2, 3)), torch.ones(16), atol=1e-4, rtol=0)
    torch.testing.assert_close(vae.decode(latents), decoded, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(vae.decode(latents + (0.5 * changed).exp()), noisy, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(30, 48), (32, 44), (4, 8)])
def test_sizes_that_are_no_multiple_of_8_are_refused(height: int, width: int) -> None:
    with pytest.raises(ValueError, match=rf"multiples of 8, got torch.Size\(\[{height}, {width}\]\)"):
        new_vae().encode(pictures(1, height, width))


def test_levels_that_do_not_make_latents_of_8_px_are_refused() -> None:
    with pytest.raises(ValueError, match="patches of 2 px and 4 levels do not make latents of 8 px"):
        VaeConfig(patch_px=2)


def test_the_shipped_form_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint|cannot read"):
        puppets_vae(tmp_path / "vae.safetensors")
    tensors = new_vae().network.state_dict()
    save_checkpoint(tensors, tmp_path / "vae.safetensors", metadata={})
    read = puppets_vae(tmp_path / "vae.safetensors")
    assert all(torch.equal(value, tensors[key]) for key, value in read.network.state_dict().items())
    tensors.pop("quant_conv.bias")
    save_checkpoint(tensors, tmp_path / "vae.safetensors", metadata={})
    with pytest.raises(CheckpointError, match=r"quant_conv\.bias"):
        puppets_vae(tmp_path / "vae.safetensors")


def test_frames_come_back_from_images_as_they_were() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 8, 16, 3), dtype=np.uint8)
    images = to_images(frames)
    assert images.shape == (3, 3, 8, 16)
    assert images.min() >= -1
    assert images.max() <= 1
    np.testing.assert_array_equal(to_frames(images), frames)
    assert to_frames(torch.tensor([-3.0, 0.0, 3.0]).reshape(1, 3, 1, 1)).ravel().tolist() == [0, 128, 255]


def test_latents_are_drawn_where_a_pixel_of_a_channel_is() -> None:
    pictures = np.zeros((2, 3, 16, 24, 3), np.uint8)
    pictures[1, 2, 7, 8, 1] = 1  # the last row and the first column of a latent
    expected = np.zeros((2, 3, 2, 3), bool)
    expected[1, 2, 0, 1] = True
    np.testing.assert_array_equal(drawn_latents(pictures), expected)


@torch.no_grad()
def test_decoding_in_batches_and_tiles() -> None:
    vae = new_vae()
    latents = vae.encode(pictures(5))
    parts = list(decode_frames(vae, latents, batch=2))
    assert [len(part) for part in parts] == [2, 2, 1]
    whole = to_frames(vae.decode(latents))
    assert abs(np.concatenate(parts).astype(int) - whole).max() <= 1
    vae.tile(on=True)
    assert vae.network.use_tiling
    vae.tile(on=False)
    np.testing.assert_array_equal(np.concatenate(list(decode_frames(vae, latents, batch=2))), np.concatenate(parts))
