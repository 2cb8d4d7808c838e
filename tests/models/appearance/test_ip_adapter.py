from __future__ import annotations

from pathlib import Path

import pytest
import torch
from golden import GOLDEN
from golden_weights import read_shapes
from PIL import Image
from safetensors.torch import save_file
from stand_in_features import save_image_encoder, save_text_encoder
from stand_in_networks import randomise
from transformers import CLIPImageProcessor, CLIPTextModel, CLIPVisionModelWithProjection

from models.appearance.image_encoder import new_puppets_image_encoder
from models.appearance.ip_adapter import (
    IpAdapterEncoder,
    Resampler,
    ResamplerConfig,
    empty_text,
    load_ip_adapter_encoder,
    load_resampler,
)
from models.appearance.vae import to_images
from models.common.digest import CheckpointError

SMALL = ResamplerConfig(width=8, layers=2, heads=2, head_width=4, num_tokens=3, features_width=16, context_width=10)


@pytest.fixture
def encoder(tmp_path: Path) -> IpAdapterEncoder:
    save_image_encoder(tmp_path)
    network = CLIPVisionModelWithProjection.from_pretrained(tmp_path)
    resampler = Resampler(SMALL)
    randomise(resampler)
    return IpAdapterEncoder(network, resampler).eval()


def picture(height: int, width: int) -> torch.Tensor:
    rough = torch.randint(256, (1, 3, 6, 6), generator=torch.Generator().manual_seed(0)).float()
    smooth = torch.nn.functional.interpolate(rough, size=(height, width), mode="bicubic").clamp(0, 255)
    return smooth[0].permute(1, 2, 0).round().to(torch.uint8)


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(28, 28), (90, 60), (40, 131)])
def test_tokens_are_of_the_centre_that_clips_own_preparation_cuts_out(
    encoder: IpAdapterEncoder, height: int, width: int
) -> None:
    rgb = picture(height, width).numpy()
    processor = CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    pixels = processor(Image.fromarray(rgb), return_tensors="pt").pixel_values
    images = to_images(rgb[None])
    # Pillow rounds to 8 bits in between; where it and we cut a row or column earlier, pixels would differ by far more.
    torch.testing.assert_close(encoder.pixels(images), pixels, atol=0.02, rtol=0)
    hidden = encoder.network(pixel_values=encoder.pixels(images), output_hidden_states=True).hidden_states[-2]
    tokens = encoder.tokens(images)
    assert tokens.shape == (1, SMALL.num_tokens, SMALL.context_width)
    torch.testing.assert_close(tokens, encoder.resampler(hidden))
    assert encoder(images).shape == (1, 12)


@torch.no_grad()
def test_blank_tokens_are_those_of_normalised_pixels_of_zero(encoder: IpAdapterEncoder) -> None:
    grey = (2 * encoder.mean - 1).expand(1, 3, 28, 28)  # the picture whose normalised pixels are zero
    torch.testing.assert_close(encoder.blank_tokens(), encoder.tokens(grey), atol=1e-5, rtol=0)
    puppets = new_puppets_image_encoder().eval()
    grey = (2 * puppets.mean - 1).expand(1, 3, 64, 64)
    torch.testing.assert_close(puppets.blank_tokens(), puppets.tokens(grey), atol=1e-5, rtol=0)
    torch.testing.assert_close(puppets.tokens(grey)[:, 0], puppets(grey))


@torch.no_grad()
@pytest.mark.parametrize("safetensors", [True, False])
def test_both_published_layouts_of_the_resampler_are_read(tmp_path: Path, safetensors: bool) -> None:
    resampler = Resampler(SMALL)
    tensors, layers = resampler.state_dict(), {"1.to_k_ip.weight": torch.zeros(2, 2)}
    if safetensors:
        path = tmp_path / "ip-adapter-plus_sd15.safetensors"
        named = {f"image_proj.{name}": tensor for name, tensor in tensors.items()}
        save_file({**named, **{f"ip_adapter.{name}": tensor for name, tensor in layers.items()}}, path)
    else:
        path = tmp_path / "ip-adapter-plus_sd15.bin"
        torch.save({"image_proj": tensors, "ip_adapter": layers}, path)
    features = torch.randn(2, 5, SMALL.features_width)
    torch.testing.assert_close(load_resampler(path, SMALL)(features), resampler(features))
    with pytest.raises(CheckpointError, match="misshapen"):
        load_resampler(path, ResamplerConfig(layers=2))


def test_a_resampler_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    tensors = Resampler(SMALL).state_dict()
    del tensors["norm_out.bias"]
    path = tmp_path / "ip-adapter-plus_sd15.bin"
    torch.save({"image_proj": tensors}, path)
    with pytest.raises(CheckpointError, match=r"ip-adapter-plus_sd15.bin.*1 missing \(norm_out.bias\)"):
        load_resampler(path, SMALL)
    save_image_encoder(tmp_path / "encoder")
    with pytest.raises(CheckpointError, match=r"ip-adapter-plus_sd15\.bin"):
        load_ip_adapter_encoder(tmp_path / "encoder", path)


def test_every_published_key_of_the_released_size_has_its_place() -> None:
    shapes = read_shapes(GOLDEN / "released_keys" / "ip-adapter-plus_sd15.json")
    assert len(shapes) == 51
    with torch.device("meta"):
        expected = Resampler(ResamplerConfig()).state_dict()
    assert {name: list(tensor.shape) for name, tensor in expected.items()} == shapes


@torch.no_grad()
def test_the_empty_text_is_padded_with_its_end(tmp_path: Path) -> None:
    save_text_encoder(tmp_path)
    network = CLIPTextModel.from_pretrained(tmp_path).eval()
    start, end = network.config.vocab_size - 2, network.config.vocab_size - 1
    expected = network(torch.tensor([[start, end, end, end, end]])).last_hidden_state
    torch.testing.assert_close(empty_text(tmp_path), expected)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="CLIPTextModel"):
        empty_text(tmp_path)
