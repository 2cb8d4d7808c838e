"""Training of any animation system: the diffusion loss of its network on batches of samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.animation.clip import ClipBatch
from models.animation.implementation import Implementation
from models.animation.signals import (
    DRIVING_FRAMES,
    DRIVING_KEYPOINTS,
    FACE_CONTROL,
    POSE_KEYPOINTS,
    REFERENCE_KEYPOINTS,
    REFERENCE_POSE,
)
from models.appearance.encoders import FrozenEncoders
from models.appearance.vae import drawn_latents, to_images
from models.sampling.schedule import NoiseSchedule
from models.training.batch import SampleBatch
from models.training.diffusion import add_noise
from models.training.encodings import Encodings
from models.training.recipe import TrainingRecipe


class DiffusionTask:
    """See `models.training.trainer.TrainingTask`. Latents are the VAE's means, of targets and references.

    Args:
        encoders: frozen; moved to `device`, on which the network is trained.
        stages: that the system is trained in.
        keep_bytes: memory for the encodings of pictures, each computed once. Not used where the recipe crops or
            recomposes at random: no picture is then drawn twice.

    Raises:
        ValueError: an unknown stage, or a recipe that the network cannot be trained with.
    """

    def __init__(
        self,
        implementation: Implementation[Any, Any],
        network: nn.Module,
        recipe: TrainingRecipe,
        *,
        encoders: FrozenEncoders,
        stages: Sequence[int],
        device: torch.device,
        keep_bytes: int = 0,
    ) -> None:
        config = implementation.config(network)
        if recipe.stage not in stages:
            names = " and ".join(str(stage) for stage in stages)
            raise ValueError(
                f"the system is trained in stage{'s' if len(stages) > 1 else ''} {names}, got {recipe.stage}"
            )
        implementation.check_recipe(config, recipe)
        implementation.enter_stage(network, recipe.stage)
        self.network = network
        self.recipe = recipe
        self.schedule = NoiseSchedule(config.schedule)
        self._implementation = implementation
        for frozen in (encoders.vae, encoders.image_encoder):
            frozen.eval().requires_grad_(False).to(device)
        keep_bytes = keep_bytes if recipe.sampling.repeats_pictures else 0
        self._encoders, self._device = encoders, device
        self._latents = Encodings(encoders.vae.encode, device=device, keep_bytes=keep_bytes)
        self._embeds = Encodings(encoders.image_encoder, device=device, keep_bytes=keep_bytes)
        self._tokens = Encodings(encoders.image_encoder.tokens, device=device, keep_bytes=keep_bytes)

    def learns(self, name: str) -> bool:
        """Whether the stage trains the parameter of this name."""
        return self._implementation.trains(self.network, name, self.recipe.stage)

    def shards(self) -> Sequence[nn.Module]:
        """See `Implementation.shards`."""
        return self._implementation.shards(self.network)

    def row_losses(self, network: nn.Module, batch: SampleBatch) -> Tensor:
        """(B) float32, the diffusion loss of each row."""
        rows, num_frames = batch.target_frames_BF.shape
        targets_NCHW = self._latents.targets(batch, batch.latents_BGCHW)
        noisy = add_noise(
            targets_NCHW.reshape(rows, num_frames, *targets_NCHW.shape[1:]).transpose(1, 2),
            batch.samples_B.tolist(),
            schedule=self.schedule,
            config=self.recipe.loss,
            seed=self.recipe.seed,
            num_parts=len(self._implementation.droppable),
        )
        encoder = BatchEncoder(batch, self._encoders, self._latents, self._embeds, self._tokens, device=self._device)
        conditions = self._implementation.conditions(sample_clip(batch), encoder, self.network)
        prediction = self._implementation.predict(network, noisy, conditions, self.recipe.stage)
        face_weight = self.recipe.loss.face_weight
        if face_weight == 1:
            return noisy.row_losses(prediction)
        return noisy.row_losses(prediction, _face_weights(batch, face_weight).to(self._device))


def _face_weights(batch: SampleBatch, face_weight: float) -> Tensor:
    """(B, F, h, w) float32: `face_weight` for latents that hold a part of the eyes or of the mouth, 1 for others."""
    return 1 + (face_weight - 1) * torch.from_numpy(drawn_latents(batch.signals[FACE_CONTROL][..., :3])).float()


def sample_clip(batch: SampleBatch) -> ClipBatch:
    """The samples as clips that are driven by themselves: the targets are the driving frames."""
    signals: dict[str, NDArray[Any]] = {
        REFERENCE_POSE: batch.reference_poses_BHWC,
        REFERENCE_KEYPOINTS: batch.keypoints_BGK3[:, 0],
        POSE_KEYPOINTS: batch.pose_keypoints_BFK3,
        DRIVING_KEYPOINTS: batch.keypoints_BGK3[:, 1:],
        **batch.signals,
    }
    if batch.targets_BFHWC is not None:
        signals[DRIVING_FRAMES] = batch.targets_BFHWC
    return ClipBatch(references_BHWC=batch.references_BHWC, poses_BFHWC=batch.poses_BFHWC, signals=signals)


class BatchEncoder:
    """The encoders applied to a batch of samples (see `ClipEncoder`); encodings that `prepare` stored are read."""

    dtype = torch.float32

    def __init__(
        self,
        batch: SampleBatch,
        encoders: FrozenEncoders,
        latents: Encodings,
        embeds: Encodings,
        tokens: Encodings,
        *,
        device: torch.device,
    ) -> None:
        text = encoders.text_tokens_1LD
        self.device = device
        self.text_tokens_1LD = None if text is None else text.to(device)
        self._batch, self._encoders = batch, encoders
        self._latents, self._embeds, self._tokens = latents, embeds, tokens

    def reference_latents(self) -> Tensor:
        """(B, C, h, w)."""
        return self._latents.references(self._batch, self._batch.latents_BGCHW)

    def reference_embeds(self) -> Tensor:
        """(B, E)."""
        return self._embeds.references(self._batch, self._batch.embeddings_BGE)

    def image_tokens(self) -> Tensor:
        """(B, L, D); always of pictures, since datasets store embeddings only."""
        return self._tokens.references(self._batch, None)

    @torch.no_grad()
    def blank_image_tokens(self) -> Tensor:
        """(1, L, D)."""
        return self._encoders.image_encoder.blank_tokens()

    def driving_embeds(self) -> Tensor:
        """(B, F, E)."""
        embeds = self._embeds.targets(self._batch, self._batch.embeddings_BGE)
        return embeds.reshape(*self._batch.target_frames_BF.shape, -1)

    @torch.no_grad()
    def latents(self, pictures_NHWC: NDArray[np.uint8]) -> Tensor:
        """(N, C, h, w)."""
        return self._encoders.vae.encode(to_images(pictures_NHWC).to(self.device))
