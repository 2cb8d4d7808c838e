"""Losses and image crops for training the embedded VAE and image encoder."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.appearance.image_encoder import ImageEncoder
from models.appearance.vae import Vae, to_images
from models.common.precision import fast_bfloat16

Rng = np.random.Generator

KL_WEIGHT = 1e-7
"""Weight of the KL divergence. At 1e-5 latents carry about one bit each and reconstructions are blurred."""
MAX_NOISE = 0.5
"""Maximum standard deviation of the noise added to latents, as a share of their own standard deviation."""
EDGE_WEIGHT = 0.5
"""Weight of the error in differences between neighbouring pixels."""
TEMPERATURE = 0.1
"""Temperature of the InfoNCE loss."""


def random_crops(frames_NHWC: NDArray[np.uint8], indices: NDArray[np.int64], rng: Rng, *, side_px: int) -> Tensor:
    """(len(indices), 3, side_px, side_px), −1 to 1: square crops of random position and size, half of them mirrored."""
    crops = np.empty((len(indices), side_px, side_px, 3), np.uint8)
    for crop, index in zip(crops, indices, strict=True):
        frame = frames_NHWC[index]
        side = int(rng.integers(side_px, len(frame) + 1))
        y, x = rng.integers(0, len(frame) - side + 1, 2)
        square = cv2.resize(frame[y : y + side, x : x + side], (side_px, side_px), interpolation=cv2.INTER_AREA)
        crop[:] = square[:, ::-1] if rng.random() < 0.5 else square
    return to_images(crops)


def vae_losses(vae: Vae, images_N3HW: Tensor, seed: int) -> dict[str, Tensor]:
    """Reconstruction and KL losses of the VAE (Kingma and Welling 2014, arXiv 1312.6114).

    Diffusion models train faster on latents that tolerate small errors and that transform like the image. Latents
    therefore get noise of up to `MAX_NOISE` of their standard deviation (arXiv 2507.15856), and with odd seeds latents
    and target images are rotated and downscaled alike (arXiv 2502.09509).

    Args:
        images_N3HW: square images, −1 to 1, with sides that are multiples of 32.
        seed: seed of noise, rotation and scale.

    Returns:
        pixels: mean absolute plus mean squared error. edges: mean absolute error of differences between neighbouring
        pixels. divergence: KL divergence from the standard normal distribution. All scalar and weighted.
    """
    images_N3HW = images_N3HW.contiguous(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(seed)
    with torch.autocast("cpu", torch.bfloat16, enabled=fast_bfloat16(images_N3HW.device)):
        mean, log_variance = vae.distribution(images_N3HW)
        mean, log_variance = mean.float(), log_variance.float().clamp(-30, 20)
        noise = torch.randn(mean.shape, generator=generator)
        noise_share = MAX_NOISE * torch.rand(len(mean), 1, 1, 1, generator=generator)
        deviation = mean.detach().std((0, 2, 3), keepdim=True)
        latents = mean + ((0.5 * log_variance).exp() + noise_share * deviation) * noise
        if seed % 2:
            latents, images_N3HW = rotated_and_downscaled(latents, images_N3HW, generator)
        decoded = vae.decode(latents * vae.config.latent_scale).float()
    error = decoded - images_N3HW
    edges = [error.diff(dim=axis).abs().mean() for axis in (2, 3)]
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum((1, 2, 3)).mean()
    return {
        "pixels": error.abs().mean() + error.square().mean(),
        "edges": (edges[0] + edges[1]) * EDGE_WEIGHT,
        "divergence": divergence * KL_WEIGHT,
    }


def rotated_and_downscaled(
    latents_NCHH: Tensor, images_N3HH: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Rotate latents and images by the same random quarter turns and scale both by the same factor from 0.5 to 1."""
    side, turns = latents_NCHH.shape[-1], int(torch.randint(4, (), generator=generator))
    new_side = int(torch.randint(side // 4, side // 2 + 1, (), generator=generator)) * 2
    side_px = new_side * images_N3HH.shape[-1] // side
    latents = functional.interpolate(latents_NCHH, size=(new_side, new_side), mode="bilinear", antialias=True)
    images = functional.interpolate(images_N3HH, size=(side_px, side_px), mode="area")
    return latents.rot90(turns, (2, 3)), images.rot90(turns, (2, 3))


def encoder_losses(encoder: ImageEncoder, first_N3HW: Tensor, second_N3HW: Tensor) -> dict[str, Tensor]:
    """Symmetric InfoNCE loss (arXiv 1807.03748) over pairs of images: row i of both inputs shows the same character."""
    tokens = functional.normalize(encoder(torch.cat([first_N3HW, second_N3HW])), dim=1)
    first, second = tokens.chunk(2)
    similarity = first @ second.T / TEMPERATURE
    targets = torch.arange(len(first))
    loss = functional.cross_entropy(similarity, targets) + functional.cross_entropy(similarity.T, targets)
    return {"alike": loss / 2}
