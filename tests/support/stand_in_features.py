"""Small CLIP encoders and a small VAE with random weights, saved as they are published."""

from __future__ import annotations

from pathlib import Path

import torch
from stand_in_networks import randomise


def save_image_encoder(
    folder: Path, *, safetensors: bool = True, hidden_act: str = "quick_gelu", width: int = 16
) -> None:
    """`config.json` and the weights, as `model.safetensors` or `pytorch_model.bin`: 28 pixels, 12 values, and tokens of
    `width` values.
    """
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        image_size=28,
        patch_size=14,
        hidden_size=width,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=12,
        hidden_act=hidden_act,
    )
    network = CLIPVisionModelWithProjection(config).eval()
    randomise(network)
    network.save_pretrained(folder)
    if not safetensors:
        (folder / "model.safetensors").unlink()
        torch.save(network.state_dict(), folder / "pytorch_model.bin")


def save_vae(folder: Path) -> None:
    """`config.json` and `diffusion_pytorch_model.safetensors` of a VAE in Stable Diffusion's form, 4 to 16 wide."""
    from diffusers import AutoencoderKL

    network = AutoencoderKL(
        block_out_channels=(4, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=2,
    ).eval()
    randomise(network)
    network.save_pretrained(folder)


def save_text_encoder(folder: Path, *, width: int = 12) -> None:
    """`config.json` and `model.safetensors` of a CLIP text encoder: 5 tokens of `width` values."""
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=30,
        hidden_size=width,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=5,
        bos_token_id=28,
        eos_token_id=29,
        pad_token_id=29,
    )
    network = CLIPTextModel(config).eval()
    randomise(network)
    network.save_pretrained(folder)
