"""A whole animation system in one module: network, denoiser, training, and a signal of its own, the driver's face.

It stands for a system that somebody adds: nothing outside of this module is changed for it but the two tables that
`tests/jobs/test_new_system.py` adds it to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from jobs.cards.animation import CardText
from jobs.recipes.recipe import SystemRecipe
from models.animation.clip import ClipBatch, ClipEncoder, unit_images
from models.animation.implementation import Implementation
from models.animation.signals import DRIVING_FRAMES, DRIVING_KEYPOINTS, Signal
from models.animation.system import System, Variant
from models.pose.skeleton import INDEX
from models.sampling.config import ScheduleConfig, WindowConfig
from models.training.diffusion import NoisyBatch
from models.weights.entry import shipped

FACE_PX = 16
LATENT_CHANNELS = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class ToyConfig:
    width: int = 16
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    windows: WindowConfig = field(default_factory=lambda: WindowConfig(size=4, overlap=1))
    num_steps: int = 2
    guidance_scale: float = 1.0
    pose_preset: str = "embedded"


def face_crops(base: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
    """(T, 16, 16, 3) uint8: a square around the nose of each driving frame."""
    frames, keypoints = base[DRIVING_FRAMES], base[DRIVING_KEYPOINTS]
    noses = keypoints[:, INDEX["nose"]]
    if not (noses[:, 2] > 0.3).any():
        raise ValueError(f"no face in any of {len(frames)} driving frames")
    size = (FACE_PX, FACE_PX)
    crops = [cv2.getRectSubPix(frame, size, (x, y)) for frame, (x, y, _) in zip(frames, noses.tolist(), strict=True)]
    return np.stack(crops)


@dataclass(frozen=True, kw_only=True, slots=True)
class ToyConditions:
    reference_BCHW: Tensor
    poses_BF3HW: Tensor
    faces_BF3HW: Tensor


class ToyNetwork(nn.Module):
    """Convolutions over noise, reference, pose and the mean colour of the face."""

    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.config = config
        self.pose = nn.Conv2d(3, config.width, 8, stride=8)
        self.face = nn.Linear(3, config.width)
        self.enter = nn.Conv2d(2 * LATENT_CHANNELS, config.width, 3, padding=1)
        self.denoiser = nn.Sequential(nn.SiLU(), nn.Conv2d(config.width, LATENT_CHANNELS, 3, padding=1))

    def forward(self, latents_BCFHW: Tensor, conditions: ToyConditions, conditional_B: Tensor) -> Tensor:
        frames = latents_BCFHW.shape[2]
        mask = conditional_B.to(latents_BCFHW.dtype)[:, None, None, None, None]
        reference = conditions.reference_BCHW[:, :, None].expand(-1, -1, frames, -1, -1) * mask
        x = self.enter(torch.cat([latents_BCFHW, reference], 1).transpose(1, 2).flatten(0, 1))
        x = x + self.pose(conditions.poses_BF3HW.flatten(0, 1))
        x = x + self.face(conditions.faces_BF3HW.mean((3, 4)).flatten(0, 1))[:, :, None, None]
        return self.denoiser(x).unflatten(0, (-1, frames)).transpose(1, 2)  # type: ignore[no-any-return, no-untyped-call]


class ToyDenoiser:
    def __init__(self, network: ToyNetwork, conditions: ToyConditions) -> None:
        self.network, self.conditions = network, conditions

    def __call__(
        self, latents_BCFHW: Tensor, t: int, windows: Sequence[Sequence[int]], conditional: Sequence[bool]
    ) -> Tensor:
        rows = [list(window) for window in windows]
        conditions = ToyConditions(
            reference_BCHW=self.conditions.reference_BCHW.expand(len(rows), -1, -1, -1),
            poses_BF3HW=torch.cat([self.conditions.poses_BF3HW[:, row] for row in rows]),
            faces_BF3HW=torch.cat([self.conditions.faces_BF3HW[:, row] for row in rows]),
        )
        return self.network(latents_BCFHW, conditions, torch.tensor(conditional))  # type: ignore[no-any-return]


class ToyImplementation(Implementation[ToyNetwork, ToyConditions]):
    def new_network(self, config: ToyConfig) -> ToyNetwork:
        return ToyNetwork(config)

    def conditions(self, clip: ClipBatch, encoder: ClipEncoder, network: ToyNetwork) -> ToyConditions:
        return ToyConditions(
            reference_BCHW=encoder.reference_latents(),
            poses_BF3HW=unit_images(clip.poses_BFHWC, encoder.device, encoder.dtype),
            faces_BF3HW=unit_images(clip.signals["face_crops"], encoder.device, encoder.dtype),
        )

    def denoiser(self, network: ToyNetwork, conditions: ToyConditions) -> ToyDenoiser:
        return ToyDenoiser(network, conditions)

    def shards(self, network: ToyNetwork) -> Sequence[nn.Module]:
        return [network.denoiser]

    def predict(self, network: nn.Module, noisy: NoisyBatch, conditions: ToyConditions, stage: int) -> Tensor:
        return network(noisy.noisy_BCFHW, conditions, noisy.conditional_B)  # type: ignore[no-any-return]


def implementation() -> ToyImplementation:
    return ToyImplementation()


def toy_system(folder: Path) -> System:
    """The system, whose model `toy` ships in `folder`."""
    return System(
        name="toy",
        title="Toy",
        version=1,
        variants={
            "toy": Variant(
                config=ToyConfig(),
                weights=shipped("toy", "toy", "animation", str(folder / "network.safetensors")),
                encoders="puppets",
                needs=frozenset({"face_crops"}),
                short_side_px=64,
                notice="toy: for tests",
            )
        },
        implementation=implementation,
        signals={"face_crops": Signal(compute=face_crops)},
    )


def defaults(stage: int, network: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "steps": 6,
        "batch_size": 2,
        "optimizer": {"learning_rate": 1e-3},
        "sampling": {"height_px": 64, "width_px": 64, "num_frames": 3, "sample_margin": 0},
    }


RECIPE = SystemRecipe(
    defaults=defaults, card=CardText(title="Toy", command="zoetrope train toy", corpus="a few puppets")
)
