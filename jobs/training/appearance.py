"""Training job of the embedded VAE and image encoder on puppets."""

from __future__ import annotations

import datetime
import json
import logging
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from jobs.cards.appearance import write_card
from jobs.cards.records import steps_so_far
from jobs.training.account import NetworksAccount
from jobs.training.puppet_frames import FIRST_HELDOUT_SEED, heldout_frames, rendered
from jobs.training.puppet_networks import puppet_network_recipe, train_network
from models.appearance.image_encoder import (
    PUPPETS_IMAGE_ENCODER,
    ImageEncoder,
    new_puppets_image_encoder,
    puppets_image_encoder,
)
from models.appearance.training import encoder_losses, random_crops, vae_losses
from models.appearance.vae import PUPPETS_VAE, Vae, puppets_vae, standardise, to_frames, to_images
from models.common.checkpoint import save_checkpoint
from models.metrics.pixels import psnr
from models.perception.puppet_frames import PuppetFrames, PuppetFramesConfig
from models.training.loss_terms import LossTermsTask
from models.training.recipe import OptimizationRecipe

logger = logging.getLogger(__name__)

SIDE_PX = 128
NOISE = 0.3
"""Standard deviation of the noise added to latents of unit variance for the score `vae_noisy_psnr_db`."""
STATISTICS_FRAMES = 512
"""Number of frames for the mean and standard deviation of latents."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainAppearanceConfig:
    """Configuration of `train_appearance`.

    Args:
        work: folder for rendered frames and training states; a killed job started again with it continues.
        out: folder for the checkpoints and their card.
        start_from: folder of checkpoints to initialise the networks from; None: random weights.
        threads: number of compute threads and of rendering processes.
    """

    work: Path
    out: Path
    start_from: Path | None = None
    vae: OptimizationRecipe = field(
        default_factory=lambda: puppet_network_recipe(steps=2400, batch_size=16, learning_rate=1.5e-3)
    )
    image_encoder: OptimizationRecipe = field(
        default_factory=lambda: puppet_network_recipe(steps=600, batch_size=48, learning_rate=1e-3, warmup_steps=50)
    )
    frames: PuppetFramesConfig = field(
        default_factory=lambda: PuppetFramesConfig(
            split="train", first_seed=20_000, num_videos=4000, frames_per_video=4, improvised_share=0.6
        )
    )
    heldout_videos: int = 100
    threads: int = 1

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ValueError(f"expected threads >= 1, got {self.threads}")
        last = self.frames.first_seed + self.frames.num_videos
        if not 0 <= self.frames.first_seed < last <= FIRST_HELDOUT_SEED:
            raise ValueError(
                f"training seeds must lie in 0 … {FIRST_HELDOUT_SEED}, got {self.frames.first_seed} … {last}"
            )
        if self.frames.side_px < SIDE_PX:
            raise ValueError(f"frames must be at least {SIDE_PX} px on a side, got {self.frames.side_px}")
        if self.frames.frames_per_video < 2 or self.frames.num_videos < self.image_encoder.batch_size:
            raise ValueError(
                "the image encoder compares two frames of each of batch_size videos, got "
                f"{self.frames.num_videos} videos of {self.frames.frames_per_video} frames for a batch of "
                f"{self.image_encoder.batch_size}"
            )


def from_command_line(config: TrainAppearanceConfig) -> dict[str, float]:
    """Entry point of `zoetrope train appearance`: `train_appearance` with progress on stderr."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    return train_appearance(config)


def train_appearance(config: TrainAppearanceConfig) -> dict[str, float]:
    """Render puppets, train VAE and image encoder, evaluate them on held-out puppets, write checkpoints and card.

    For speed, set `MALLOC_MMAP_MAX_` and `MALLOC_TRIM_THRESHOLD_` as in `train_perception`.

    Returns:
        Scores on held-out puppets by name.
    """
    torch.set_num_threads(config.threads)
    config.work.mkdir(parents=True, exist_ok=True)
    config.out.mkdir(parents=True, exist_ok=True)
    earlier_steps = {name: _earlier_steps(name, config) for name in ("vae", "image_encoder")}
    with NetworksAccount("appearance", config.out) as account:
        frames = rendered(config.frames, config.work / "frames", processes=config.threads)
        vae, vae_minutes = _train_vae(config, frames, account)
        encoder, encoder_minutes = _train_image_encoder(config, frames, account)
        scores = appearance_scores(vae, encoder, num_videos=config.heldout_videos)
        logger.info("held-out scores: %s", json.dumps(scores))
        _publish(config, vae, encoder, (vae_minutes, encoder_minutes), earlier_steps, scores)
    return scores


def _publish(
    config: TrainAppearanceConfig,
    vae: Vae,
    encoder: ImageEncoder,
    minutes_of_each: tuple[float, float],
    earlier_steps: Mapping[str, int],
    scores: Mapping[str, float],
) -> None:
    """Writes checkpoints and card."""
    vae_minutes, encoder_minutes = minutes_of_each
    trained: tuple[tuple[str, torch.nn.Module, dict[str, Any], OptimizationRecipe, float], ...] = (
        ("vae", vae.network, asdict(PUPPETS_VAE), config.vae, vae_minutes),
        ("image_encoder", encoder.network, PUPPETS_IMAGE_ENCODER, config.image_encoder, encoder_minutes),
    )
    for name, network, shape, recipe, minutes in trained:
        metadata = {
            "network": shape,
            "steps": recipe.steps,
            "earlier_steps": earlier_steps[name],
            "minutes": round(minutes, 1),
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "machine": f"{platform.machine()}, threads: {config.threads}, torch {torch.__version__}, no GPU",
            "settings": {
                **asdict(recipe),
                "frames": asdict(config.frames),
                "continued": config.start_from is not None,
            },
            "scores": scores,
        }
        save_checkpoint(
            network.state_dict(), config.out / f"{name}.safetensors", metadata=metadata, float_dtype=torch.float16
        )
    write_card(config.out)


def _earlier_steps(name: str, config: TrainAppearanceConfig) -> int:
    if config.start_from is None:
        return 0
    return steps_so_far(config.start_from / f"{name}.safetensors")


@torch.no_grad()
def appearance_scores(vae: Vae, encoder: ImageEncoder, *, num_videos: int) -> dict[str, float]:
    """Scores on the centre squares of two frames of each of `num_videos` held-out videos, resized to 128 pixels.

    Returns:
        vae_psnr_db, vae_noisy_psnr_db: PSNR of VAE reconstructions in dB, from exact latents and from latents with
            added noise.
        nearest_is_same_character: share of characters whose first frame is nearest to their own second frame, by the
            image encoder's tokens.
        heldout_frames: number of frames.
    """
    puppets = heldout_frames(num_videos, frames_per_video=2)
    squares = [_centre_square(puppet.rgb) for puppet in puppets]
    images = torch.cat([to_images(square[None]) for square in squares])
    images = torch.nn.functional.interpolate(images, size=(SIDE_PX, SIDE_PX), mode="area")
    truth = to_frames(images)
    latents = torch.cat([vae.encode(batch) for batch in torch.split(images, 16)])
    noise = NOISE * torch.randn(latents.shape, generator=torch.Generator().manual_seed(0))
    decoded, noisy = (
        np.concatenate([to_frames(vae.decode(batch)) for batch in torch.split(inputs, 16)])
        for inputs in (latents, latents + noise)
    )
    tokens = torch.nn.functional.normalize(torch.cat([encoder(batch) for batch in torch.split(images, 16)]), dim=1)
    nearest = (tokens[0::2] @ tokens[1::2].T).argmax(1)
    return {
        "vae_psnr_db": float(psnr(decoded, truth).mean()),
        "vae_noisy_psnr_db": float(psnr(noisy, truth).mean()),
        "nearest_is_same_character": float((nearest == torch.arange(num_videos)).float().mean()),
        "heldout_frames": float(len(truth)),
    }


def _train_vae(config: TrainAppearanceConfig, frames: PuppetFrames, account: NetworksAccount) -> tuple[Vae, float]:
    torch.manual_seed(config.vae.seed)
    vae = Vae(PUPPETS_VAE) if config.start_from is None else puppets_vae(config.start_from / "vae.safetensors")
    vae.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's own overloads miss it

    def draw_batch(rng: np.random.Generator, batch_size: int) -> tuple[torch.Tensor, int]:
        indices = rng.integers(0, len(frames.images), batch_size)
        return random_crops(frames.images, indices, rng, side_px=SIDE_PX), int(rng.integers(2**31))

    def losses(network: Vae, batch: tuple[torch.Tensor, int]) -> dict[str, torch.Tensor]:
        return vae_losses(network, *batch)

    progress = account.begin("vae", steps=config.vae.steps, state_path=config.work / "vae.state.pt")
    seconds = train_network(LossTermsTask(vae, losses), config.vae, draw_batch=draw_batch, account=progress)
    rng = np.random.default_rng(1)
    with torch.no_grad():
        chosen = rng.integers(0, len(frames.images), min(STATISTICS_FRAMES, len(frames.images)))
        crops = random_crops(frames.images, chosen, rng, side_px=SIDE_PX)
        latents = torch.cat([vae.distribution(batch)[0] for batch in torch.split(crops, 16)])
    standardise(vae, latents.mean((0, 2, 3)), latents.std((0, 2, 3)))
    return vae, seconds / 60


def _train_image_encoder(
    config: TrainAppearanceConfig, frames: PuppetFrames, account: NetworksAccount
) -> tuple[ImageEncoder, float]:
    torch.manual_seed(config.image_encoder.seed)
    encoder = (
        new_puppets_image_encoder()
        if config.start_from is None
        else puppets_image_encoder(config.start_from / "image_encoder.safetensors")
    )
    per_video = config.frames.frames_per_video

    def draw_pairs(rng: np.random.Generator, batch_size: int) -> tuple[torch.Tensor, torch.Tensor]:
        videos = rng.choice(config.frames.num_videos, batch_size, replace=False)
        pairs = np.stack([rng.choice(per_video, 2, replace=False) for _ in videos]) + videos[:, None] * per_video
        first, second = (random_crops(frames.images, pairs[:, side], rng, side_px=SIDE_PX) for side in (0, 1))
        return first, second

    def losses(network: ImageEncoder, batch: tuple[torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
        return encoder_losses(network, *batch)

    recipe, state_path = config.image_encoder, config.work / "image_encoder.state.pt"
    progress = account.begin("image_encoder", steps=recipe.steps, state_path=state_path)
    seconds = train_network(LossTermsTask(encoder, losses), recipe, draw_batch=draw_pairs, account=progress)
    return encoder, seconds / 60


def _centre_square(rgb: np.ndarray) -> np.ndarray:
    height, width = rgb.shape[:2]
    side = min(height, width)
    y, x = (height - side) // 2, (width - side) // 2
    return rgb[y : y + side, x : x + side]
