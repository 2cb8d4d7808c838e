from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.appearance.image_encoder import new_puppets_image_encoder
from models.appearance.training import (
    KL_WEIGHT,
    encoder_losses,
    random_crops,
    rotated_and_downscaled,
    vae_losses,
)
from models.appearance.vae import PUPPETS_VAE, Vae, to_images


def frames(num: int, side_px: int = 48) -> np.ndarray:
    """Frames with a dark left and a bright right half, brighter from frame to frame."""
    images_NHWC = np.zeros((num, side_px, side_px, 3), np.uint8)
    for index, frame in enumerate(images_NHWC):
        frame[:, side_px // 2 :] = 120 + 10 * index
    return images_NHWC


def test_crops_come_from_the_given_frames_and_half_of_them_are_mirrored() -> None:
    rng = np.random.default_rng(0)
    indices = np.repeat(np.array([3, 1]), 100)
    crops = random_crops(frames(5), indices, rng, side_px=32)
    assert crops.shape == (200, 3, 32, 32)
    assert crops.min() >= -1
    brightest = crops.amax((1, 2, 3))
    torch.testing.assert_close(brightest[:100], torch.full((100,), 150 / 127.5 - 1))
    torch.testing.assert_close(brightest[100:], torch.full((100,), 130 / 127.5 - 1))
    bright_left = crops[:, 0, :, 0].mean(1) > crops[:, 0, :, -1].mean(1)
    assert 0.35 < bright_left.float().mean() < 0.65
    again = random_crops(frames(5), indices, np.random.default_rng(0), side_px=32)
    assert torch.equal(again, crops)


class _Fixed(nn.Module):
    """VAE with fixed latents and reconstructions."""

    def __init__(self, mean: Tensor, log_variance: Tensor, picture: Tensor) -> None:
        super().__init__()
        self.config = PUPPETS_VAE
        self.mean, self.log_variance, self.picture = mean, log_variance, picture
        self.latents: list[Tensor] = []

    def distribution(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.mean, self.log_variance

    def decode(self, latents: Tensor) -> Tensor:
        self.latents.append(latents)
        return self.picture


def test_vae_losses_are_zero_for_a_perfect_reconstruction_and_measure_each_error() -> None:
    images = to_images(frames(2, 16))
    standard = torch.zeros(2, 16, 2, 2)
    perfect = vae_losses(_Fixed(standard, standard, images), images, 0)  # type: ignore[arg-type]
    assert {name: float(value) for name, value in perfect.items()} == {"pixels": 0.0, "edges": 0.0, "divergence": 0.0}
    shifted = vae_losses(_Fixed(standard + 3, standard, images + 0.5), images, 0)  # type: ignore[arg-type]
    assert float(shifted["pixels"]) == pytest.approx(0.75)  # |0.5| + 0.5²
    assert float(shifted["edges"]) == pytest.approx(0, abs=1e-6)
    assert float(shifted["divergence"]) == pytest.approx(0.5 * 9 * standard[0].numel() * KL_WEIGHT)
    blurred = vae_losses(_Fixed(standard, standard, images.mean(3, keepdim=True).expand_as(images)), images, 0)  # type: ignore[arg-type]
    assert blurred["edges"] > 0.01


def test_noise_of_the_latents_depends_on_the_seed() -> None:
    images, standard = to_images(frames(2, 16)), torch.zeros(2, 16, 2, 2)
    vae = _Fixed(standard, standard, images)
    for seed in (2, 2, 4):
        vae_losses(vae, images, seed)  # type: ignore[arg-type]
    assert torch.equal(vae.latents[0], vae.latents[1])
    assert not torch.equal(vae.latents[0], vae.latents[2])


def test_noise_is_a_share_of_the_latents_deviation_drawn_per_image() -> None:
    torch.manual_seed(0)
    images, mean = to_images(frames(6, 128)), torch.randn(6, 16, 16, 16) * torch.linspace(1, 5, 16)[:, None, None]
    vae = _Fixed(mean, torch.full_like(mean, -30.0), images)
    vae_losses(vae, images, 0)
    shares = (vae.latents[0] - mean).std((2, 3)) / mean.std((0, 2, 3))
    torch.testing.assert_close(shares, shares.mean(1, keepdim=True).expand_as(shares), rtol=0.2, atol=0)
    assert 0 < shares.mean(1).min() < 0.2 < shares.mean(1).max() < 0.5


def test_images_and_latents_are_rotated_and_downscaled_alike() -> None:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 128), torch.linspace(-1, 1, 128), indexing="ij")
    images = torch.stack([x, y, 0.5 * x * y])[None]
    latents = torch.nn.functional.avg_pool2d(images, 8)
    sides, upper_left = set(), set()
    for seed in range(60):
        latents_small, images_small = rotated_and_downscaled(latents, images, torch.Generator().manual_seed(seed))
        assert images_small.shape[-1] == 8 * latents_small.shape[-1]
        inner = (..., slice(1, -1), slice(1, -1))  # filters differ at the border
        torch.testing.assert_close(
            latents_small[inner], torch.nn.functional.avg_pool2d(images_small, 8)[inner], rtol=0, atol=0.03
        )
        sides.add(latents_small.shape[-1])
        upper_left.add((bool(images_small[0, 0, 0, 0] > 0), bool(images_small[0, 1, 0, 0] > 0)))
    assert sides == {8, 10, 12, 14, 16}
    assert len(upper_left) == 4


def test_every_parameter_of_both_networks_gets_a_gradient() -> None:
    torch.manual_seed(0)
    vae, encoder = Vae(PUPPETS_VAE), new_puppets_image_encoder()
    images = to_images(frames(3, 64))
    torch.stack(list(vae_losses(vae, images, 0).values())).sum().backward()
    encoder_losses(encoder, images, images.flip(3))["alike"].backward()
    for network in (vae, encoder):
        idle = [name for name, p in network.named_parameters() if p.grad is None or not bool(p.grad.isfinite().all())]
        assert idle == []


def test_the_encoder_loss_is_low_only_if_pairs_are_closest() -> None:
    class Fixed(nn.Module):
        def forward(self, tokens: Tensor) -> Tensor:
            return tokens

    tokens = torch.eye(4)
    right = encoder_losses(Fixed(), tokens, 2 * tokens)["alike"]  # type: ignore[arg-type]
    wrong = encoder_losses(Fixed(), tokens, tokens.roll(1, 0))["alike"]  # type: ignore[arg-type]
    assert right < 1e-3 < 5 < wrong
