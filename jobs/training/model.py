"""What is a system's own in a training run: which networks there are, where they begin, how they learn and animate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from models.appearance.image_encoder import ImageEncoder
from models.appearance.vae import CHECKPOINTS, Vae
from models.common.animator import Animator
from models.common.checkpoint import file_digest
from models.training.batch import SampleBatch
from models.training.recipe import TrainingRecipe
from models.training.trainer import TrainingTask
from models.weights.resolve import entry, find


@dataclass(frozen=True, kw_only=True, slots=True)
class Frozen:
    """What reads pictures for the network and does not learn. `text_tokens_1LD`: of the empty text; None where there is
    no text encoder.
    """

    vae: Vae
    image_encoder: ImageEncoder
    text_tokens_1LD: torch.Tensor | None = None  # noqa: N815


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig(ABC):
    """Which network is trained.

    Args:
        size: its shape, and which VAE and image encoder it reads.
        network: what of its shape differs from that of `size`.
        appearance: folder of the VAE and the image encoder: of `vae.safetensors` and `image_encoder.safetensors` for
            the embedded size, of published weights for others; None: those that ship, or the Hugging Face cache.
        start_partly: what a run starts from may be of another network (another shape, another system): it takes those
            tensors that have the name and shape of one of its own, and begins with new ones elsewhere.
    """

    name: ClassVar[str]
    sizes: ClassVar[Mapping[str, Any]]
    published_appearance: ClassVar[tuple[str, ...]]
    """Names in the weights catalogue of what sizes other than the embedded one read pictures with."""

    size: str = "embedded"
    network: Any = None
    appearance: str | None = None
    start_partly: bool = False

    def __post_init__(self) -> None:
        if self.size not in self.sizes:
            raise ValueError(f"unknown size '{self.size}', expected one of {', '.join(self.sizes)}")

    @property
    def shape(self) -> Any:
        """The network's configuration."""
        return self.network or self.sizes[self.size]

    @property
    @abstractmethod
    def reads_reference_picture(self) -> bool:
        """Whether the network is given the reference itself, besides what the VAE and the image encoder make of it."""

    @classmethod
    @abstractmethod
    def recipe_defaults(cls, *, size: str, stage: int, shape: Mapping[str, Any]) -> Mapping[str, Any]:
        """The recipe of this size and stage, where it differs from the defaults of `TrainingRecipe`."""

    @property
    @abstractmethod
    def published_file(self) -> str | None:
        """The file by which a folder of published weights is known; None for a size that was never published."""

    @abstractmethod
    def new_network(self) -> nn.Module:
        """One with random weights."""

    @abstractmethod
    def published_network(self, folder: Path) -> nn.Module:
        """One with published weights. Raises CheckpointError."""

    @abstractmethod
    def frozen(self) -> Frozen:
        """Raises CheckpointError or MissingWeightsError."""

    def frozen_digests(self) -> frozenset[str]:
        """Of the files of the VAE and the image encoder. Raises CheckpointError or MissingWeightsError."""
        folder = None if self.appearance is None else Path(self.appearance)
        if self.size == "embedded":
            paths = [(folder or CHECKPOINTS) / f"{name}.safetensors" for name in ("vae", "image_encoder")]
        else:
            paths = [path for name in self.published_appearance for path in find(entry(name), folder).paths]
        return frozenset(file_digest(path) for path in paths)

    @abstractmethod
    def task(
        self, network: nn.Module, recipe: TrainingRecipe, frozen: Frozen, *, device: torch.device, keep_bytes: int
    ) -> TrainingTask[SampleBatch]:
        """The network as something to train. Raises ValueError for a recipe that is not for it."""

    @abstractmethod
    def animator(self, network: nn.Module, frozen: Frozen, *, device: torch.device) -> Animator:
        """The network as it is used, to look at what it can do."""
