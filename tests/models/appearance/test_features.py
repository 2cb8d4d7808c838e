from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from stand_in_features import save_image_encoder, save_vae
from transformers import CLIPVisionModelWithProjection

from models.appearance.features import BATCH_FRAMES, ClipEmbeddings, VaeLatents
from models.appearance.image_encoder import Resampling, published_image_encoder
from models.appearance.vae import published_vae, to_images
from models.common.digest import CheckpointError

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def smooth_frames(num: int, *, height: int = 96, width: int = 64) -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    small = [Image.fromarray(rng.integers(0, 256, (8, 6, 3), dtype=np.uint8)) for _ in range(num)]
    return np.stack([np.asarray(one.resize((width, height), Image.Resampling.BICUBIC)) for one in small])


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image_encoder")
    save_image_encoder(folder)
    return folder


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vae")
    save_vae(folder)
    return folder


@pytest.mark.parametrize(
    ("resampling", "filter_"),
    [("bicubic", Image.Resampling.BICUBIC), ("bilinear", Image.Resampling.BILINEAR)],
)
def test_embeddings_are_those_of_the_published_preprocessing(
    encoder: Path, resampling: Resampling, filter_: Image.Resampling
) -> None:
    """But for its rounding of resized pictures to 8 bits."""
    frames = smooth_frames(BATCH_FRAMES + 3)
    found = ClipEmbeddings(published_image_encoder(encoder, resampling=resampling))(frames)
    assert found.shape == (len(frames), 12)
    assert found.dtype == np.float16
    squeezed = np.stack([np.asarray(Image.fromarray(frame).resize((28, 28), filter_)) for frame in frames])
    pixels = (squeezed / 255 - CLIP_MEAN) / CLIP_STD
    network = CLIPVisionModelWithProjection.from_pretrained(str(encoder)).eval()
    with torch.no_grad():
        expected = network(pixel_values=torch.from_numpy(pixels).permute(0, 3, 1, 2).float()).image_embeds.numpy()
    np.testing.assert_allclose(found, expected, atol=0.01 * np.abs(expected).max())


def test_the_two_ways_to_resize_differ(encoder: Path) -> None:
    frames = smooth_frames(1, height=320, width=40)
    bicubic, bilinear = (
        ClipEmbeddings(published_image_encoder(encoder, resampling=way))(frames) for way in get_args(Resampling)
    )
    assert (bicubic != bilinear).any()


def test_embeddings_are_what_the_encoder_makes_of_the_frames_themselves(encoder: Path) -> None:
    frames = smooth_frames(2)
    image_encoder = published_image_encoder(encoder)
    with torch.no_grad():
        expected = image_encoder(to_images(frames))
    np.testing.assert_array_equal(ClipEmbeddings(image_encoder)(frames), expected.half())


def test_an_encoder_without_safetensors_is_read_as_tensors_only(encoder: Path, tmp_path: Path) -> None:
    save_image_encoder(tmp_path, safetensors=False)
    frames = smooth_frames(2)
    one, other = (ClipEmbeddings(published_image_encoder(folder))(frames) for folder in (encoder, tmp_path))
    np.testing.assert_array_equal(one, other)
    marker = tmp_path / "code ran"

    class RunsCode:
        def __reduce__(self) -> tuple[object, ...]:
            return marker.touch, ()

    torch.save({"visual_projection.weight": RunsCode()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="cannot load a CLIPVisionModelWithProjection"):
        published_image_encoder(tmp_path)
    assert not marker.exists()


def test_latents_are_scaled_means(vae: Path) -> None:
    from diffusers import AutoencoderKL

    frames = smooth_frames(BATCH_FRAMES + 1)
    found = VaeLatents(published_vae(vae))(frames)
    assert found.shape == (len(frames), 4, 12, 8)
    assert found.dtype == np.float16
    network = AutoencoderKL.from_pretrained(str(vae)).eval()
    with torch.no_grad():
        pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 127.5 - 1
        expected = network.encode(pixels).latent_dist.mean * 0.18215
    np.testing.assert_allclose(found, expected.numpy(), rtol=2e-3, atol=1e-3)


def test_frames_that_do_not_divide_are_refused(vae: Path) -> None:
    with pytest.raises(ValueError, match="multiples of 8"):
        VaeLatents(published_vae(vae))(smooth_frames(1, height=90))


def test_damaged_folders_are_one_message(encoder: Path, vae: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        published_vae(tmp_path)
    for load, folder, file in (
        (published_image_encoder, encoder, "model.safetensors"),
        (published_vae, vae, "diffusion_pytorch_model.safetensors"),
    ):
        copy = tmp_path / folder.name
        copy.mkdir()
        (copy / "config.json").write_bytes((folder / "config.json").read_bytes())
        (copy / file).write_bytes((folder / file).read_bytes()[:-100])
        with pytest.raises(CheckpointError, match="cannot load a"):
            load(copy)


@pytest.mark.weights
@pytest.mark.parametrize("name", ["ZOETROPE_TEST_CLIP", "ZOETROPE_TEST_VAE"])
def test_published_weights_tell_pictures_apart(name: str) -> None:
    if not (folder := os.environ.get(name)):
        pytest.skip(f"set {name} to the published folder")
    encode = (
        ClipEmbeddings(published_image_encoder(Path(folder)))
        if name == "ZOETROPE_TEST_CLIP"
        else VaeLatents(published_vae(Path(folder)))
    )
    features = encode(np.concatenate([smooth_frames(1), 255 - smooth_frames(1)])).astype(np.float32)
    assert np.isfinite(features).all()
    assert 0.1 < features.std() < 3
    assert np.abs(features[0] - features[1]).max() > 0.1
