from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image
from stand_in_features import save_image_encoder, save_vae
from transformers import CLIPVisionModelWithProjection

from models.appearance.image_encoder import published_image_encoder
from models.appearance.vae import published_vae
from models.common.checkpoint import CheckpointError
from models.perception.features import BATCH_FRAMES, ClipEmbeddings, VaeLatents, pack, unpack

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
    ("interpolation", "filter_"),
    [("bicubic", Image.Resampling.BICUBIC), ("bilinear", Image.Resampling.BILINEAR)],
)
def test_embeddings_are_those_of_the_published_preprocessing(
    encoder: Path, interpolation: str, filter_: Image.Resampling
) -> None:
    frames = smooth_frames(BATCH_FRAMES + 3)
    embeddings = ClipEmbeddings(published_image_encoder(encoder), interpolation=interpolation)  # type: ignore[arg-type]
    found = embeddings(frames)
    assert found.shape == (len(frames), 12)
    assert found.dtype == np.float16
    squeezed = np.stack([np.asarray(Image.fromarray(frame).resize((28, 28), filter_)) for frame in frames])
    # Pillow rounds between the two directions.
    assert np.abs(embeddings.squares(frames).astype(int) - squeezed).max() <= 1
    pixels = (squeezed / 255 - CLIP_MEAN) / CLIP_STD
    network = CLIPVisionModelWithProjection.from_pretrained(str(encoder)).eval()
    with torch.no_grad():
        expected = network(pixel_values=torch.from_numpy(pixels).permute(0, 3, 1, 2).float()).image_embeds.numpy()
    np.testing.assert_allclose(found, expected, atol=0.01 * np.abs(expected).max())


def test_the_two_ways_to_resize_differ(encoder: Path) -> None:
    frames = smooth_frames(1, height=320, width=40)
    bicubic, bilinear = (
        ClipEmbeddings(published_image_encoder(encoder), interpolation=way) for way in ("bicubic", "bilinear")
    )
    assert (bicubic.squares(frames) != bilinear.squares(frames)).any()
    assert (bicubic(frames) != bilinear(frames)).any()


def test_an_encoder_without_safetensors_is_read_as_tensors_only(encoder: Path, tmp_path: Path) -> None:
    save_image_encoder(tmp_path, safetensors=False)
    frames = smooth_frames(2)
    one, other = (
        ClipEmbeddings(published_image_encoder(folder), interpolation="bicubic")(frames)
        for folder in (encoder, tmp_path)
    )
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


@given(hnp.arrays(np.float16, hnp.array_shapes(min_dims=1, max_dims=4, max_side=5), elements=st.floats(width=16)))
def test_what_is_packed_is_unpacked_bit_for_bit(features: NDArray[np.float16]) -> None:
    packed, shape = pack(features)
    again = unpack(packed, shape)
    assert again.shape == features.shape
    assert again.tobytes() == features.tobytes()
    if shape:
        with pytest.raises(ValueError, match="bytes in a frame"):
            unpack(packed, [*shape, 2])


@pytest.mark.weights
@pytest.mark.parametrize("name", ["ZOETROPE_TEST_CLIP", "ZOETROPE_TEST_VAE"])
def test_published_weights_tell_pictures_apart(name: str) -> None:
    if not (folder := os.environ.get(name)):
        pytest.skip(f"set {name} to the published folder")
    encode = (
        ClipEmbeddings(published_image_encoder(Path(folder)), interpolation="bicubic")
        if name == "ZOETROPE_TEST_CLIP"
        else VaeLatents(published_vae(Path(folder)))
    )
    features = encode(np.concatenate([smooth_frames(1), 255 - smooth_frames(1)])).astype(np.float32)
    assert np.isfinite(features).all()
    assert 0.1 < features.std() < 3
    assert np.abs(features[0] - features[1]).max() > 0.1
