"""The torch side of an animation system: its networks, its conditions, its share of sampling and training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.animation.clip import ClipBatch, ClipEncoder
from models.appearance.vae import Vae, decode_frames
from models.sampling.denoise import Denoiser
from models.sampling.schedule import NoiseSchedule
from models.sampling.solver import Solver, ddim
from models.training.diffusion import NoisyBatch
from models.training.recipe import TrainingRecipe

NetworkT = TypeVar("NetworkT", bound=nn.Module)
ConditionsT = TypeVar("ConditionsT")


class Implementation(ABC, Generic[NetworkT, ConditionsT]):
    """One per system, without state.

    `NetworkT`: everything that is trained. `ConditionsT`: tensors that the network reads of B clips besides the noise;
    `conditions` alone makes them, for inference (B = 1) and training.

    `depends_on_window`: whether a frame depends on the number of frames in its window, so that a clip shorter than a
      window is worth a remark.
    `batch`: pictures of a call of a frozen encoder or of a convolution at full resolution. `cpu_window_batch`: rows of
    a call of the denoiser on a CPU. `droppable`: names of the conditions that training may drop one by one.
    """

    depends_on_window: ClassVar[bool] = False
    batch: ClassVar[int] = 8
    cpu_window_batch: ClassVar[int] = 1
    droppable: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def new_network(self, config: Any) -> NetworkT:
        """A network of this configuration with random weights."""

    def load_published(self, path: Path, config: Any) -> NetworkT:
        """The network from the publisher's files: `path` is the file, or the folder of several.

        Raises:
            CheckpointError: a file is missing or damaged, or a tensor is missing, unexpected or misshapen.
        """
        raise NotImplementedError(f"{type(self).__name__} has no published weights, got {path} for {config}")

    def load_base(self, paths: Mapping[str, Path], config: Any) -> NetworkT:
        """The network at the start of training, from public base models (`Variant.base`).

        `paths`: of their files, by the names of their catalogue entries.

        Raises:
            CheckpointError: a file is missing or damaged, or a tensor is missing, unexpected or misshapen.
        """
        raise NotImplementedError(f"{type(self).__name__} has no base models, got {paths} for {config}")

    def config(self, network: nn.Module) -> Any:
        """The configuration that `network` was made with."""
        return cast("Any", network).config

    def compile(self, network: NetworkT) -> None:
        """Compile the denoiser in place."""
        cast("nn.Module", network.denoiser).compile(dynamic=False)

    # Inference and training

    @abstractmethod
    def conditions(self, clip: ClipBatch, encoder: ClipEncoder, network: NetworkT) -> ConditionsT:
        """Encode B clips. Called with the encoders on the device; `network` only for its configuration.

        Raises:
            ValueError: a picture or signal that the configuration needs is missing.
        """

    # Inference

    @abstractmethod
    def denoiser(self, network: NetworkT, conditions: ConditionsT) -> Denoiser:
        """The denoiser of one clip, with everything computed that depends on no step."""

    def first_latents(
        self,
        noise_CFHW: Tensor,
        reference_latents_CHW: Tensor,  # noqa: ARG002  (for those that override it)
        config: Any,  # noqa: ARG002
        *,
        num_windows: int,  # noqa: ARG002
        t: int,  # noqa: ARG002
        seed: int,  # noqa: ARG002
    ) -> Tensor:
        """(C, F, H, W) latents at the first training step `t` of a run: the noise itself, unless a system overrides
        it.
        """
        return noise_CFHW

    def noise_level(self, conditions: ConditionsT) -> Tensor:  # noqa: ARG002  (for those that override it)
        """Standard deviation of the noise that a run begins with, (F, h, w): 1 everywhere, as in training, unless a
        system overrides it.
        """
        return torch.ones(1, 1, 1)

    def solver(self, schedule: NoiseSchedule) -> Solver:
        """The solver of a run of the sampling loop: DDIM, unless a system overrides it."""
        return ddim(schedule)

    def with_known_frames(
        self,
        conditions: ConditionsT,  # noqa: ARG002  (for those that override it)
        frames: Sequence[int],  # noqa: ARG002
        latents_CFHW: Tensor,  # noqa: ARG002
    ) -> ConditionsT:
        """Conditions of one clip in which some frames are given, as latents (C, len(frames), h, w): the last frames of
        the clip before, where a long video is made clip by clip.

        Raises:
            ValueError: the system has no such condition.
        """
        raise ValueError(f"{type(self).__name__} makes long videos by windows only, got 'chain'")

    def decode(
        self,
        vae: Vae,
        latents_TCHW: Tensor,
        conditions: ConditionsT,  # noqa: ARG002
    ) -> Iterator[NDArray[np.uint8]]:
        """Frames (n, H, W, 3) uint8, a few at a time."""
        return decode_frames(vae, latents_TCHW, batch=self.batch)

    # Training

    def check_recipe(self, config: Any, recipe: TrainingRecipe) -> None:  # noqa: ARG002  (for those that override it)
        """Raise ValueError for a recipe that the network of this configuration cannot be trained with."""
        return

    def enter_stage(self, network: NetworkT, stage: int) -> None:  # noqa: ARG002
        """Prepare the network for a training stage (for example, switch temporal layers off)."""
        return

    def trains(self, network: NetworkT, name: str, stage: int) -> bool:  # noqa: ARG002
        """Whether the stage trains the parameter `name`."""
        return True

    @abstractmethod
    def shards(self, network: NetworkT) -> Sequence[nn.Module]:
        """Modules that FSDP gathers one by one, innermost first; only their `forward` is ever called."""

    @abstractmethod
    def predict(self, network: nn.Module, noisy: NoisyBatch, conditions: ConditionsT, stage: int) -> Tensor:
        """The network's prediction for every row, (B, C, F, H, W); `network` may be wrapped, and is called once.

        The same parameters must take part whatever the rows: with FSDP, a worker whose rows leave a part out would send
        other gradients than the next.
        """
