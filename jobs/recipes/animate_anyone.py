"""Animate Anyone in a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from jobs.training.config import TrainConfig
from jobs.training.model import Frozen, ModelConfig
from models.animate_anyone.animator import AnimateAnyoneAnimator
from models.animate_anyone.config import CONFIGS, AnimateAnyoneConfig
from models.animate_anyone.network import AnimateAnyone
from models.animate_anyone.training import AnimateAnyoneTask
from models.animate_anyone.weights import PUBLISHED_FILES, load_published
from models.appearance.image_encoder import embedded_image_encoder, published_image_encoder
from models.appearance.vae import CHECKPOINTS, embedded_vae, published_vae
from models.training.recipe import TrainingRecipe
from models.weights.resolve import entry, find
from stages.animate.models import CLIP, VAE

Size = Literal["embedded", "moore", "musepose"]

_RELEASED: Mapping[int, Mapping[str, Any]] = {
    # As the public training code of Moore-AnimateAnyone has them.
    1: {
        "steps": 30_000,
        "batch_size": 4,
        "precision": "bfloat16",
        "gradient_checkpointing": True,
        "sampling": {"height_px": 768, "width_px": 768, "num_frames": 1, "sample_margin": 30, "min_crop_share": 0.9},
    },
    2: {
        "steps": 10_000,
        "batch_size": 4,
        "precision": "bfloat16",
        "gradient_checkpointing": True,
        "sampling": {"height_px": 512, "width_px": 512, "num_frames": 24, "frame_step": 4, "sample_margin": 0},
    },
}
# Where the character is to be is decided in the noisiest steps.
_EMBEDDED_LOSS = {"noise_offset": 0.0, "snr_gamma": None, "timestep_shift": 8.0, "condition_dropout": 0.05}
_EMBEDDED_OPTIMIZER = {"name": "muon", "learning_rate": 3e-3, "warmup_steps": 100, "decay": "cosine"}
_EMBEDDED: Mapping[int, Mapping[str, Any]] = {
    1: {
        "steps": 12_000,
        "batch_size": 8,
        "ema_decay": 0.998,
        "precision": "auto",
        "optimizer": _EMBEDDED_OPTIMIZER,
        "loss": _EMBEDDED_LOSS,
        # Frames that share a reference share its pass through the ReferenceNet.
        "sampling": {"height_px": 192, "width_px": 144, "num_frames": 4, "frame_step": 3, "sample_margin": 1},
    },
    2: {
        "steps": 2_000,
        "batch_size": 2,
        "ema_decay": 0.998,
        "precision": "auto",
        "optimizer": _EMBEDDED_OPTIMIZER,
        "loss": _EMBEDDED_LOSS,
        "sampling": {"height_px": 192, "width_px": 144, "num_frames": 16, "sample_margin": 0},
    },
}


@dataclass(frozen=True, kw_only=True, slots=True)
class AnimateAnyoneModel(ModelConfig):
    """See `ModelConfig`."""

    name: ClassVar[str] = "animate-anyone"
    sizes: ClassVar[Mapping[str, AnimateAnyoneConfig]] = CONFIGS
    published_appearance: ClassVar[tuple[str, ...]] = (CLIP, VAE)

    size: Size = "embedded"
    network: AnimateAnyoneConfig | None = None

    @property
    def reads_reference_picture(self) -> bool:
        """Where it is moved limb by limb."""
        return bool(self.shape.limb_warp)

    @classmethod
    def recipe_defaults(cls, *, size: str, stage: int, shape: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG003
        """The public training code's; and the embedded size's, which learns from nothing on a CPU."""
        return (_EMBEDDED if size == "embedded" else _RELEASED).get(stage, {})

    @property
    def published_file(self) -> str:
        """The denoiser's."""
        return PUBLISHED_FILES[0]

    def new_network(self) -> AnimateAnyone:
        """One with random weights."""
        return AnimateAnyone(self.shape)

    def published_network(self, folder: Path) -> AnimateAnyone:
        """Of the four files."""
        return load_published(folder, self.shape)

    def frozen(self) -> Frozen:
        """The embedded VAE and image encoder, or Stable Diffusion's."""
        folder = None if self.appearance is None else Path(self.appearance)
        if self.size == "embedded":
            folder = folder or CHECKPOINTS
            return Frozen(vae=embedded_vae(folder), image_encoder=embedded_image_encoder(folder))
        clip, vae = (find(entry(name), folder).path for name in self.published_appearance)
        return Frozen(vae=published_vae(vae), image_encoder=published_image_encoder(clip))

    def task(
        self, network: nn.Module, recipe: TrainingRecipe, frozen: Frozen, *, device: torch.device, keep_bytes: int
    ) -> AnimateAnyoneTask:
        """In one of its two stages."""
        assert isinstance(network, AnimateAnyone)
        return AnimateAnyoneTask(
            network,
            recipe,
            vae=frozen.vae,
            image_encoder=frozen.image_encoder,
            device=device,
            keep_bytes=keep_bytes,
        )

    def animator(self, network: nn.Module, frozen: Frozen, *, device: torch.device) -> AnimateAnyoneAnimator:
        """As it is used."""
        assert isinstance(network, AnimateAnyone)
        return AnimateAnyoneAnimator(
            "training", network=network, vae=frozen.vae, image_encoder=frozen.image_encoder, device=device
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class AnimateAnyoneTrainConfig(TrainConfig):
    """See `TrainConfig`."""

    model: AnimateAnyoneModel = field(default_factory=AnimateAnyoneModel)
