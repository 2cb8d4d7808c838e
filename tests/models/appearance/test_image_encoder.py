from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from stand_in_features import save_image_encoder
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from models.appearance.image_encoder import (
    PUPPETS_IMAGE_ENCODER,
    new_puppets_image_encoder,
    published_image_encoder,
    puppets_image_encoder,
)
from models.appearance.vae import to_images
from models.common.checkpoint import save_checkpoint
from models.common.digest import CheckpointError


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.array(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(28, 28), (90, 60), (40, 200)])
def test_a_published_folder_gives_the_embedding_of_the_squeezed_picture(
    tmp_path: Path, height: int, width: int
) -> None:
    save_image_encoder(tmp_path)
    encoder, theirs = published_image_encoder(tmp_path), CLIPVisionModelWithProjection.from_pretrained(tmp_path).eval()
    rgb = picture(height, width)
    square = Image.fromarray(rgb).resize((28, 28), Image.Resampling.BICUBIC)
    processor = CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    expected = theirs(**processor(square, return_tensors="pt")).image_embeds
    found = encoder(to_images(rgb[None]))
    assert found.shape == (1, 12)
    # Pillow rounds to 8 bits in between.
    torch.testing.assert_close(found, expected, atol=0.02 * float(expected.abs().max()), rtol=0)
    other = encoder(to_images(picture(height, width, seed=1)[None]))
    assert (found - other).abs().max() > 0.1 * expected.abs().max()


@pytest.mark.parametrize("safetensors", [True, False])
def test_a_damaged_published_folder_is_refused(tmp_path: Path, safetensors: bool) -> None:
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        published_image_encoder(tmp_path)
    save_image_encoder(tmp_path, safetensors=safetensors)
    weights = tmp_path / ("model.safetensors" if safetensors else "pytorch_model.bin")
    tensors = load_file(weights) if safetensors else torch.load(weights, weights_only=True)
    del tensors["visual_projection.weight"]
    if safetensors:
        save_file(tensors, weights, metadata={"format": "pt"})
    else:
        torch.save(tensors, weights)
    with pytest.raises(CheckpointError, match=r"1 missing \(visual_projection\.weight\)"):
        published_image_encoder(tmp_path)
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cannot load a CLIPVisionModelWithProjection"):
        published_image_encoder(tmp_path)


@torch.no_grad()
@pytest.mark.parametrize("safetensors", [True, False])
def test_the_text_encoder_in_the_same_file_is_left_out(tmp_path: Path, safetensors: bool) -> None:
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = CLIPVisionConfig(image_size=28, patch_size=14, projection_dim=12, **size)
    text = CLIPTextConfig(vocab_size=9, max_position_embeddings=8, projection_dim=12, **size)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=12)
    whole = CLIPModel(config).eval()
    whole.save_pretrained(tmp_path)
    if not safetensors:
        (tmp_path / "model.safetensors").unlink()
        # Tables of positions, as in OpenAI's published file.
        tables = {
            f"{part}_model.embeddings.position_ids": torch.arange(n)[None] for part, n in (("vision", 5), ("text", 8))
        }
        torch.save(whole.state_dict() | tables, tmp_path / "pytorch_model.bin")
    found = published_image_encoder(tmp_path).network
    pixels = torch.rand(1, 3, 28, 28)
    expected = whole.visual_projection(whole.vision_model(pixel_values=pixels).pooler_output)
    torch.testing.assert_close(found(pixel_values=pixels).image_embeds, expected)


@torch.no_grad()
def test_a_picture_does_not_depend_on_its_batch_mates() -> None:
    torch.manual_seed(0)
    encoder = new_puppets_image_encoder().eval()
    images = to_images(np.stack([picture(96, 80, seed) for seed in range(4)]))
    together = encoder(images)
    assert together.shape == (4, PUPPETS_IMAGE_ENCODER["projection_dim"])
    for index in range(4):
        torch.testing.assert_close(encoder(images[index : index + 1])[0], together[index], atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_nearly_the_same_embedding(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    encoder, images = new_puppets_image_encoder().eval(), to_images(picture(96, 80)[None])
    expected = encoder(images)
    found = encoder.to(dtype)(images.to(dtype))
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), expected, atol=0.05 * float(expected.abs().max()), rtol=0)


def test_the_shipped_form_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint|cannot read"):
        puppets_image_encoder(tmp_path / "image_encoder.safetensors")
    tensors = new_puppets_image_encoder().network.state_dict()
    save_checkpoint(tensors, tmp_path / "image_encoder.safetensors", metadata={})
    read = puppets_image_encoder(tmp_path / "image_encoder.safetensors")
    assert not read.training
    assert all(torch.equal(value, tensors[key]) for key, value in read.network.state_dict().items())
    tensors.pop("visual_projection.weight")
    save_checkpoint(tensors, tmp_path / "image_encoder.safetensors", metadata={})
    with pytest.raises(CheckpointError, match=r"visual_projection\.weight"):
        puppets_image_encoder(tmp_path / "image_encoder.safetensors")
