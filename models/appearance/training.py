"""What the embedded VAE and image encoder are trained to minimise, and on which pictures."""

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
"""Little enough that noise in the latents costs no detail: at 1e-5 they hold one bit each, and pictures come back
blurred."""
MOST_NOISE = 0.5
"""The most noise in the latents that a picture is still asked for, as a share of their deviation."""
EDGE_WEIGHT = 0.5
TEMPERATURE = 0.1


def random_crops(frames_NHWC: NDArray[np.uint8], indices: NDArray[np.int64], rng: Rng, *, side_px: int) -> Tensor:
    """(len(indices), 3, side, side), −1 to 1: squares of frames at a random place and size, half of them mirrored."""
    crops = np.empty((len(indices), side_px, side_px, 3), np.uint8)
    for crop, index in zip(crops, indices, strict=True):
        frame = frames_NHWC[index]
        side = int(rng.integers(side_px, len(frame) + 1))
        y, x = rng.integers(0, len(frame) - side + 1, 2)
        square = cv2.resize(frame[y : y + side, x : x + side], (side_px, side_px), interpolation=cv2.INTER_AREA)
        crop[:] = square[:, ::-1] if rng.random() < 0.5 else square
    return to_images(crops)


def vae_losses(vae: Vae, images_N3HW: Tensor, seed: int) -> dict[str, Tensor]:
    """Mean absolute errors of pixels and of the differences between neighbours, and the KL divergence from a normal
    distribution (Kingma and Welling 2014, arXiv 1312.6114).

    A diffusion model learns those latents sooner that are still good when they are a little wrong, and that change as
    the picture does. So each picture's latents are disturbed by noise of up to `MOST_NOISE` of their deviation (arXiv
    2507.15856), and those of every other batch, turned and made smaller, are to give the picture turned and made
    smaller (arXiv 2502.09509).

    Args:
        images_N3HW: squares, −1 to 1, with sides that are multiples of 32.
        seed: of noise, turn and size.
    """
    images_N3HW = images_N3HW.contiguous(memory_format=torch.channels_last)
    draw = torch.Generator().manual_seed(seed)
    with torch.autocast("cpu", torch.bfloat16, enabled=fast_bfloat16(images_N3HW.device)):
        mean, log_variance = vae.distribution(images_N3HW)
        mean, log_variance = mean.float(), log_variance.float().clamp(-30, 20)
        noise = torch.randn(mean.shape, generator=draw)
        share = MOST_NOISE * torch.rand(len(mean), 1, 1, 1, generator=draw)
        deviation = mean.detach().std((0, 2, 3), keepdim=True)
        latents = mean + ((0.5 * log_variance).exp() + share * deviation) * noise
        if seed % 2:
            latents, images_N3HW = turned_and_smaller(latents, images_N3HW, draw)
        decoded = vae.decode(latents * vae.config.latent_scale).float()
    error = decoded - images_N3HW
    edges = [error.diff(dim=axis).abs().mean() for axis in (2, 3)]
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum((1, 2, 3)).mean()
    return {
        "pixels": error.abs().mean() + error.square().mean(),
        "edges": (edges[0] + edges[1]) * EDGE_WEIGHT,
        "divergence": divergence * KL_WEIGHT,
    }


def turned_and_smaller(latents_NCHH: Tensor, images_N3HH: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Both by the same quarter turns, and to the same share of their size, from a half up."""
    side, turns = latents_NCHH.shape[-1], int(torch.randint(4, (), generator=draw))
    smaller = int(torch.randint(side // 4, side // 2 + 1, (), generator=draw)) * 2
    px = smaller * images_N3HH.shape[-1] // side
    latents = functional.interpolate(latents_NCHH, size=(smaller, smaller), mode="bilinear", antialias=True)
    images = functional.interpolate(images_N3HH, size=(px, px), mode="area")
    return latents.rot90(turns, (2, 3)), images.rot90(turns, (2, 3))


def encoder_losses(encoder: ImageEncoder, first_N3HW: Tensor, second_N3HW: Tensor) -> dict[str, Tensor]:
    """Two pictures of one character are to be closer than two of any other (InfoNCE, arXiv 1807.03748)."""
    both = functional.normalize(encoder(torch.cat([first_N3HW, second_N3HW])), dim=1)
    first, second = both.chunk(2)
    alike = first @ second.T / TEMPERATURE
    place = torch.arange(len(first))
    return {"alike": (functional.cross_entropy(alike, place) + functional.cross_entropy(alike.T, place)) / 2}
