"""Stable Diffusion VAEs, published and embedded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.common.checkpoint import fill, load_checkpoint, read_tensors
from models.common.digest import CheckpointError
from models.common.pretrained import load_pretrained
from models.finite import check_finite

CHECKPOINTS = Path(__file__).parent / "checkpoints"
LDM_PREFIX = "first_stage_model."
LATENT_PX = 8
"""Downsampling factor of the latents."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VaeConfig:
    """Shape of a VAE; the defaults are Stable Diffusion 1.x's.

    `patch_px`: side of the patches that pixel unshuffling moves to channels before the network, so that a small network
      runs at a reduced resolution. Each level but the last halves the resolution again.
    `latent_scale`: factor that scales latents to unit variance.
    """

    widths: tuple[int, ...] = (128, 256, 512, 512)
    layers_per_block: int = 2
    latent_channels: int = 4
    norm_groups: int = 32
    patch_px: int = 1
    latent_scale: float = 0.18215

    def __post_init__(self) -> None:
        if self.patch_px * 2 ** (len(self.widths) - 1) != LATENT_PX:
            raise ValueError(
                f"patches of {self.patch_px} px and {len(self.widths)} levels do not make latents of {LATENT_PX} px"
            )


PUPPETS_VAE = VaeConfig(
    widths=(32, 64, 96), layers_per_block=1, latent_channels=16, norm_groups=8, patch_px=2, latent_scale=1.0
)


class Vae(nn.Module):
    """Encoder and decoder. Parameter names are those of diffusers' `AutoencoderKL`."""

    network: Any  # diffusers is untyped

    def __init__(self, config: VaeConfig, network: nn.Module | None = None) -> None:
        super().__init__()
        self.config = config
        self.network = network if network is not None else _new_network(config)

    def encode(self, images_N3HW: Tensor) -> Tensor:
        """Latents (N, C, H / 8, W / 8) of images with values −1 to 1: distribution means, scaled to unit variance.

        Raises:
            ValueError: height or width is not a multiple of 8.
        """
        mean, _ = self.distribution(images_N3HW)
        return mean * self.config.latent_scale

    def distribution(self, images_N3HW: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the unscaled latents."""
        if images_N3HW.shape[2] % LATENT_PX or images_N3HW.shape[3] % LATENT_PX:
            raise ValueError(f"images must have sides that are multiples of {LATENT_PX}, got {images_N3HW.shape[2:]}")
        posterior = self.network.encode(functional.pixel_unshuffle(images_N3HW, self.config.patch_px)).latent_dist
        return posterior.mean, posterior.logvar

    def decode(self, latents_NCHW: Tensor) -> Tensor:
        """Images (N, 3, H, W), about −1 to 1, of latents with unit variance."""
        decoded: Tensor = self.network.decode(latents_NCHW / self.config.latent_scale).sample
        return functional.pixel_shuffle(decoded, self.config.patch_px)

    def tile(self, *, on: bool) -> None:
        """Enable or disable encoding and decoding in overlapping, blended tiles, which need less memory."""
        if on:
            self.network.enable_tiling()
        else:
            self.network.disable_tiling()


def _new_network(config: VaeConfig) -> Any:
    levels = len(config.widths)
    colours = 3 * config.patch_px**2
    return AutoencoderKL(  # type: ignore[no-untyped-call]  # diffusers' own is untyped
        in_channels=colours,
        out_channels=colours,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=config.widths,
        layers_per_block=config.layers_per_block,
        latent_channels=config.latent_channels,
        norm_num_groups=config.norm_groups,
    )


def published_vae(folder: Path) -> Vae:
    """Load Stable Diffusion's VAE (`sd-vae-ft-mse`) from its published folder.

    Raises:
        CheckpointError: the folder is absent or incomplete.
    """
    return Vae(VaeConfig(), load_pretrained(AutoencoderKL, folder)).eval()


def published_ldm_vae(path: Path, config: VaeConfig | None = None) -> Vae:
    """Load the VAE from a checkpoint of the latent-diffusion code (`v2-1_512-ema-pruned.ckpt`).

    `config`: None: that of Stable Diffusion.

    Raises:
        CheckpointError: the file is absent or damaged, holds no VAE, or a tensor is missing, unexpected or misshapen.
    """
    config = config or VaeConfig()
    tensors = {name: t for name, t in read_tensors(path).items() if name.startswith(LDM_PREFIX)}
    with torch.device("meta"):
        network = _new_network(config)
    layers = {"down_block_types": network.config.down_block_types, "up_block_types": network.config.up_block_types}
    try:
        # diffusers is untyped
        converted: dict[str, Tensor | None] = convert_ldm_vae_checkpoint(dict(tensors), layers)  # type: ignore[no-untyped-call]
    except (KeyError, IndexError) as error:
        raise CheckpointError(f"{path} has no complete VAE under '{LDM_PREFIX}': {error} is missing") from error
    if len(converted) < len(tensors):
        raise CheckpointError(
            f"{path}: the VAE under '{LDM_PREFIX}' has {len(tensors)} tensors, expected {len(converted)}"
        )
    fill(network, {name: tensor for name, tensor in converted.items() if tensor is not None}, path)
    return Vae(config, network).eval()


def puppets_vae(path: Path = CHECKPOINTS / "vae.safetensors") -> Vae:
    """Load the embedded VAE, trained on puppets only.

    Raises:
        CheckpointError: the file is absent or damaged.
    """
    vae = Vae(PUPPETS_VAE)
    load_checkpoint(vae.network, path)
    return vae.eval()


def to_images(frames_THWC: NDArray[np.uint8]) -> Tensor:
    """Convert uint8 RGB frames (T, H, W, 3) to float32 images (T, 3, H, W) with values −1 to 1."""
    return torch.from_numpy(np.ascontiguousarray(frames_THWC)).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_frames(images_N3HW: Tensor) -> NDArray[np.uint8]:
    """Convert images with values of about −1 to 1 to uint8 RGB frames (N, H, W, 3).

    Raises:
        NotFiniteError: a value is NaN or infinite.
    """
    check_finite(images_N3HW, "frames decoded by the VAE")
    scaled = (images_N3HW.float() / 2 + 0.5).clamp(0, 1) * 255
    frames: NDArray[np.uint8] = scaled.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return frames


@torch.no_grad()
def decode_frames(vae: Vae, latents_NCHW: Tensor, *, batch: int) -> Iterator[NDArray[np.uint8]]:
    """Decode to uint8 frames, yielding (n, H, W, 3) with n ≤ `batch`, which bounds the memory."""
    for first in range(0, len(latents_NCHW), batch):
        yield to_frames(vae.decode(latents_NCHW[first : first + batch]))


@torch.no_grad()
def standardise(vae: Vae, mean_C: Tensor, deviation_C: Tensor) -> None:
    """Standardise latents by folding a shift and scale per channel into the quant and post-quant convolutions.

    `mean_C`, `deviation_C`: mean and standard deviation of the current latents. Changes the weights in
    place, not the reconstructions.
    """
    quant, post = vae.network.quant_conv, vae.network.post_quant_conv
    channels = len(mean_C)
    post.bias += (post.weight[:, :, 0, 0] * mean_C).sum(1)
    post.weight *= deviation_C[:, None, None]
    quant.weight[:channels] /= deviation_C[:, None, None, None]
    quant.bias[:channels] = (quant.bias[:channels] - mean_C) / deviation_C
    quant.bias[channels:] -= 2 * deviation_C.log()


def drawn_latents(pictures_XHWC: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(…, h, w): latents of pictures (…, H, W, C), of which a pixel is not black."""
    drawn = pictures_XHWC.any(-1)
    height, width = (side // LATENT_PX for side in drawn.shape[-2:])
    squares = drawn.reshape(*drawn.shape[:-2], height, LATENT_PX, width, LATENT_PX)
    return np.asarray(squares.any((-3, -1)))
