"""OpenCLIP's ViT-H (`open_clip_pytorch_model.bin`): the image encoder, and text tokens of the empty prompt.

UniAnimate and Animate-X read both. Requests have no prompt, so tokens are computed for the empty one only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

from models.appearance.image_encoder import ImageEncoder
from models.common.checkpoint import fill, read_tensors
from models.common.digest import CheckpointError

PADDING = 0
"""OpenCLIP's token after the end of a text."""

_BLOCK = (
    (r"\.ln_(\d)\.", r".layer_norm\1."),
    (r"\.attn\.out_proj\.", ".self_attn.out_proj."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
)
_VISION = (
    (r"^visual\.conv1\.", "vision_model.embeddings.patch_embedding."),
    (r"^visual\.class_embedding$", "vision_model.embeddings.class_embedding"),
    (r"^visual\.positional_embedding$", "vision_model.embeddings.position_embedding.weight"),
    (r"^visual\.ln_pre\.", "vision_model.pre_layrnorm."),
    (r"^visual\.ln_post\.", "vision_model.post_layernorm."),
    (r"^visual\.proj$", "visual_projection.weight"),
    (r"^visual\.transformer\.resblocks\.", "vision_model.encoder.layers."),
)
_TEXT = (
    (r"^token_embedding\.", "embeddings.token_embedding."),
    (r"^positional_embedding$", "embeddings.position_embedding.weight"),
    (r"^ln_final\.", "final_layer_norm."),
    (r"^transformer\.resblocks\.", "encoder.layers."),
)
_CONTRASTIVE = ("text_projection", "logit_scale", "attn_mask")
"""Tensors used only to compare texts with images."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenClipConfig:
    """Shape of both encoders; the defaults are ViT-H-14's."""

    image_size_px: int = 224
    patch_px: int = 14
    width: int = 1280
    layers: int = 32
    heads: int = 16
    ff_width: int = 5120
    embedding_width: int = 1024
    text_width: int = 1024
    text_layers: int = 24
    text_heads: int = 16
    text_ff_width: int = 4096
    text_length: int = 77
    vocabulary: int = 49408


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenClip:
    """Image encoder, and text tokens of the empty prompt.

    `empty_text_1LD`: normalised output of the penultimate layer of the text encoder, as in Stable Diffusion 2.
    """

    image_encoder: ImageEncoder
    empty_text_1LD: Tensor


def load_open_clip(path: Path, config: OpenClipConfig | None = None) -> OpenClip:
    """Load both from the published file.

    Raises:
        CheckpointError: the file is absent or damaged, or a tensor is missing, unexpected or misshapen.
    """
    config = config or OpenClipConfig()
    tensors = {name: tensor for name, tensor in read_tensors(path).items() if name not in _CONTRASTIVE}
    vision = {name: tensor for name, tensor in tensors.items() if name.startswith("visual.")}
    last_layer = f"transformer.resblocks.{config.text_layers - 1}."
    text = {name: t for name, t in tensors.items() if name not in vision and not name.startswith(last_layer)}
    with torch.device("meta"):
        encoder = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                image_size=config.image_size_px,
                patch_size=config.patch_px,
                hidden_size=config.width,
                intermediate_size=config.ff_width,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                projection_dim=config.embedding_width,
                hidden_act="gelu",
            )
        )
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=config.vocabulary,
                hidden_size=config.text_width,
                intermediate_size=config.text_ff_width,
                num_hidden_layers=config.text_layers - 1,
                num_attention_heads=config.text_heads,
                max_position_embeddings=config.text_length,
                hidden_act="gelu",
            )
        )
    _fill(encoder, _renamed(vision, _VISION, path), path)
    _fill(text_encoder, _renamed(text, _TEXT, path), path)
    with torch.no_grad():
        # The start and end tokens are the last two of the vocabulary.
        tokens = [config.vocabulary - 2, config.vocabulary - 1, *[PADDING] * (config.text_length - 2)]
        empty: Tensor = text_encoder(torch.tensor([tokens])).last_hidden_state
    return OpenClip(image_encoder=ImageEncoder(encoder, resampling="bilinear").eval(), empty_text_1LD=empty.float())


def _renamed(tensors: Mapping[str, Tensor], rules: tuple[tuple[str, str], ...], path: Path) -> dict[str, Tensor]:
    """Tensors under the names of transformers, with queries, keys and values split."""
    renamed = {}
    for key, tensor in tensors.items():
        name = key
        for pattern, replacement in (*rules, *_BLOCK):
            name = re.sub(pattern, replacement, name)
        if ".attn.in_proj_" in name:
            if len(tensor) % 3:
                raise CheckpointError(f"{path}: {key} {tuple(tensor.shape)} does not hold queries, keys and values")
            for part, rows in zip("qkv", tensor.chunk(3), strict=True):
                renamed[re.sub(r"\.attn\.in_proj_", f".self_attn.{part}_proj.", name)] = rows
        else:
            renamed[name] = tensor.T if key == "visual.proj" else tensor
    return renamed


def _fill(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    fill(network, tensors, path)
    for module in network.modules():  # these are in no checkpoint
        for name, buffer in module.named_buffers(recurse=False):
            if name == "position_ids":
                module.register_buffer(name, torch.arange(buffer.shape[1])[None], persistent=False)
    network.eval().requires_grad_(False)
