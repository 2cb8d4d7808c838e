"""Animate-X in a training run.

Ablations of the paper, each a line or two of a recipe:

| without | recipe |
|---|---|
| implicit pose indicator | `model: {network: {indicator: null, unet: {pose_attention: null}}}` |
| learned query | `model: {network: {indicator: {learned_query: false}}}` |
| key point query | `model: {network: {indicator: {keypoint_query: false}}}` |
| explicit pose indicator | `recipe: {sampling: {explicit_indicator: null}}` |
| realignment | `recipe: {sampling: {explicit_indicator: {realign: false}}}` |
| rescaling | `recipe: {sampling: {explicit_indicator: {rescale_probability: 0}}}`; of some limbs: `{body: null, …}` |
| adding of parts | `recipe: {sampling: {explicit_indicator: {add_probability: 0}}}` |
| dropping of parts | `recipe: {sampling: {explicit_indicator: {drop_probability: 0}}}` |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from jobs.training.config import TrainConfig
from jobs.training.model import Frozen, ModelConfig
from models.animate_x.animator import AnimateXAnimator
from models.animate_x.config import CONFIGS, AnimateXConfig
from models.animate_x.network import AnimateX
from models.animate_x.training import AnimateXTask
from models.animate_x.weights import ANIMATE_X_FILE, UNIANIMATE_FILE, load_published
from models.appearance.image_encoder import embedded_image_encoder
from models.appearance.open_clip import load_open_clip
from models.appearance.vae import CHECKPOINTS, embedded_vae, published_ldm_vae
from models.training.recipe import TrainingRecipe
from models.weights.resolve import entry, find
from stages.animate.models import OPEN_CLIP, SD2_VAE

Size = Literal["embedded", "animate-x", "unianimate"]

_PUBLISHED_FILES = {"animate-x": ANIMATE_X_FILE, "unianimate": UNIANIMATE_FILE}
_RELEASED: Mapping[str, Any] = {
    # The paper's (appendix A); dropout as the constructor of the public network has it. Neither says how many steps.
    "steps": 30_000,
    "batch_size": 8,
    "precision": "bfloat16",
    "gradient_checkpointing": True,
    "optimizer": {"learning_rate": 5e-5},
    "loss": {
        "noise_offset": 0.1,
        "noise_offset_per_frame": True,
        "snr_gamma": None,
        "condition_dropout": 0.1,
        "keep_share": 0.1,
        "part_dropout": 0.5,
    },
    "sampling": {"height_px": 768, "width_px": 512, "num_frames": 32, "sample_margin": 0, "explicit_indicator": {}},
}
_INDICATOR_RATE = {"lr_multipliers": {"indicator.": 0.01}}
"""5e-7 for the implicit pose indicator, where all else learns at 5e-5 (appendix A)."""
_EMBEDDED: Mapping[str, Any] = {
    "steps": 12_000,
    "batch_size": 4,
    "ema_decay": 0.999,
    "precision": "auto",
    "optimizer": {"name": "muon", "learning_rate": 3e-3, "warmup_steps": 100, "decay": "cosine"},
    # Where the character is to be is decided in the noisiest steps.
    "loss": {"noise_offset": 0.0, "snr_gamma": None, "timestep_shift": 8.0, "condition_dropout": 0.05},
    "sampling": {
        "height_px": 192,
        "width_px": 144,
        "num_frames": 16,
        "sample_margin": 0,
        "explicit_indicator": {},
    },
}


@dataclass(frozen=True, kw_only=True, slots=True)
class AnimateXModel(ModelConfig):
    """See `ModelConfig`."""

    name: ClassVar[str] = "animate-x"
    sizes: ClassVar[Mapping[str, AnimateXConfig]] = CONFIGS
    published_appearance: ClassVar[tuple[str, ...]] = (OPEN_CLIP, SD2_VAE)

    size: Size = "embedded"
    network: AnimateXConfig | None = None

    @property
    def reads_reference_picture(self) -> bool:
        """Always."""
        return True

    @classmethod
    def recipe_defaults(cls, *, size: str, stage: int, shape: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG003
        """The paper's; and the embedded size's, in which all learns from nothing and so at one rate."""
        if size == "embedded":
            return _EMBEDDED
        if shape["indicator"] is None:
            return _RELEASED
        return {**_RELEASED, "optimizer": {**_RELEASED["optimizer"], **_INDICATOR_RATE}}

    @property
    def published_file(self) -> str | None:
        """The one file."""
        return _PUBLISHED_FILES.get(self.size)

    def new_network(self) -> AnimateX:
        """One with random weights."""
        return AnimateX(self.shape)

    def published_network(self, folder: Path) -> AnimateX:
        """Of the published file in `folder`."""
        return load_published(folder / _PUBLISHED_FILES[self.size], self.shape)

    def frozen(self) -> Frozen:
        """The embedded VAE and image encoder, which know no text, or Stable Diffusion 2's and OpenCLIP."""
        folder = None if self.appearance is None else Path(self.appearance)
        if self.size == "embedded":
            folder = folder or CHECKPOINTS
            return Frozen(vae=embedded_vae(folder), image_encoder=embedded_image_encoder(folder))
        open_clip, vae = (find(entry(name), folder).path for name in self.published_appearance)
        clip = load_open_clip(open_clip)
        return Frozen(vae=published_ldm_vae(vae), image_encoder=clip.image_encoder, text_tokens_1LD=clip.empty_text_1LD)

    def task(
        self, network: nn.Module, recipe: TrainingRecipe, frozen: Frozen, *, device: torch.device, keep_bytes: int
    ) -> AnimateXTask:
        """All of it at once."""
        assert isinstance(network, AnimateX)
        return AnimateXTask(
            network,
            recipe,
            vae=frozen.vae,
            image_encoder=frozen.image_encoder,
            text_tokens_1LD=_text(network, frozen),
            device=device,
            keep_bytes=keep_bytes,
        )

    def animator(self, network: nn.Module, frozen: Frozen, *, device: torch.device) -> AnimateXAnimator:
        """As it is used."""
        assert isinstance(network, AnimateX)
        return AnimateXAnimator(
            "training",
            network=network,
            vae=frozen.vae,
            image_encoder=frozen.image_encoder,
            text_tokens_1LD=_text(network, frozen),
            device=device,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class AnimateXTrainConfig(TrainConfig):
    """See `TrainConfig`."""

    model: AnimateXModel = field(default_factory=AnimateXModel)


def _text(network: AnimateX, frozen: Frozen) -> torch.Tensor:
    return network.without_text() if frozen.text_tokens_1LD is None else frozen.text_tokens_1LD
