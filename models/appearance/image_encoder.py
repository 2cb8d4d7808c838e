"""CLIP image encoders, published and embedded: one token per picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from models.appearance.vae import CHECKPOINTS
from models.common.checkpoint import load_checkpoint
from models.common.pretrained import load_pretrained

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_DEVIATION = (0.26862954, 0.26130258, 0.27577711)

TEXT_PARTS = ("text_model.", "text_projection.", "logit_scale")
"""Beginnings of the names of the text encoder's tensors, which some published files also hold."""

Resampling = Literal["bicubic", "bilinear"]

PUPPETS_IMAGE_ENCODER: dict[str, Any] = {
    "image_size": 64,
    "patch_size": 8,
    "hidden_size": 96,
    "intermediate_size": 192,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "projection_dim": 64,
}


class ImageEncoder(nn.Module):
    """CLIP image encoder with projection. Parameter names are those of `CLIPVisionModelWithProjection`."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: CLIPVisionModelWithProjection, *, resampling: Resampling = "bicubic") -> None:
        """`resampling`: resize filter, the one used in training the network that reads the embeddings."""
        super().__init__()
        self.network = network
        self.resampling = resampling
        self.register_buffer("mean", torch.tensor(CLIP_MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(CLIP_DEVIATION)[:, None, None], persistent=False)

    def forward(self, images_N3HW: Tensor) -> Tensor:
        """Embeddings (N, D) of images with values −1 to 1."""
        embeddings: Tensor = self.network(pixel_values=self.pixels(images_N3HW)).image_embeds
        return embeddings

    def tokens(self, images_N3HW: Tensor) -> Tensor:
        """Context tokens (N, L, D) of images with values −1 to 1."""
        return self.tokens_of_pixels(self.pixels(images_N3HW))

    def blank_tokens(self) -> Tensor:
        """Context tokens (1, L, D) of no picture: of normalised pixels that are all 0."""
        return self.tokens_of_pixels(self.mean.new_zeros(1, 3, self.side_px, self.side_px).to(self.network.dtype))

    def tokens_of_pixels(self, pixels_N3HH: Tensor) -> Tensor:
        """The embedding as one token."""
        embeddings: Tensor = self.network(pixel_values=pixels_N3HH).image_embeds
        return embeddings[:, None]

    @property
    def side_px(self) -> int:
        """Side of the squares that the network reads."""
        return self.network.config.image_size  # type: ignore[return-value]  # of squares, one number

    def pixels(self, images_N3HW: Tensor) -> Tensor:
        """Normalised squares, to which images are resized without keeping their aspect ratio, as in the public
        pipelines.
        """
        size = (self.side_px, self.side_px)
        # In float32, the only dtype that antialiased resizing supports on CPUs.
        return self.normalised(
            functional.interpolate(images_N3HW.float(), size=size, mode=self.resampling, antialias=True)
        )

    def normalised(self, images_N3HH: Tensor) -> Tensor:
        """Resized images with values −1 to 1 in the range and dtype of the network."""
        pixels: Tensor = (images_N3HH.clamp(-1, 1) / 2 + 0.5 - self.mean) / self.deviation
        return pixels.to(self.network.dtype)


def new_puppets_image_encoder() -> ImageEncoder:
    """Network of the embedded encoder with random weights."""
    return ImageEncoder(CLIPVisionModelWithProjection(CLIPVisionConfig(**PUPPETS_IMAGE_ENCODER)))


def published_image_encoder(folder: Path, *, resampling: Resampling = "bicubic") -> ImageEncoder:
    """Load CLIP's image encoder from its published folder. `resampling`: see `ImageEncoder`.

    Raises:
        CheckpointError: the folder is absent or incomplete.
    """
    network = load_pretrained(CLIPVisionModelWithProjection, folder, other_parts=TEXT_PARTS)
    return ImageEncoder(network, resampling=resampling).eval()


def puppets_image_encoder(path: Path = CHECKPOINTS / "image_encoder.safetensors") -> ImageEncoder:
    """Load the embedded encoder, trained on puppets only.

    Raises:
        CheckpointError: the file is absent or damaged.
    """
    encoder = new_puppets_image_encoder()
    load_checkpoint(encoder.network, path)
    return encoder.eval()
