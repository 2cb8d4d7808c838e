"""Animate Anyone 2 for inference and for training in one stage (arXiv 2502.06145, §4.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.animate_anyone_2.conditions import ClipConditions, WindowConditions
from models.animate_anyone_2.config import AnimateAnyone2Config
from models.animate_anyone_2.network import AnimateAnyone2
from models.animation.clip import ClipBatch, ClipEncoder
from models.animation.implementation import Implementation
from models.animation.signals import AGNOSTIC_MASK, OBJECT_FRAMES, OBJECT_MASK, SCENE_FRAMES, STRUCTURED_DEPTH
from models.appearance.vae import LATENT_PX
from models.common.base_models import begin_from_base
from models.common.checkpoint import load_checkpoint
from models.common.window_denoiser import WindowDenoiser
from models.training.diffusion import NoisyBatch
from models.training.recipe import TrainingRecipe
from models.weights.base import ANIMATE_ANYONE_BASE

Masks = NDArray[np.bool_]


class AnimateAnyone2Implementation(Implementation[AnimateAnyone2, ClipConditions]):
    """Trained on clips. Rows without conditions have no reference and a zero image token, and keep environment, objects
    and pose, as in Animate Anyone; the paper does not say what guidance leaves out.
    """

    batch = 4
    cpu_window_batch = 1

    def new_network(self, config: AnimateAnyone2Config) -> AnimateAnyone2:
        """See `Implementation`."""
        return AnimateAnyone2(config)

    def load_published(self, path: Path, config: AnimateAnyone2Config) -> AnimateAnyone2:
        """From a checkpoint of `zoetrope train`: nobody has published weights.

        Raises:
            CheckpointError: the file is damaged, or a tensor is missing, unexpected or misshapen.
        """
        network = self.new_network(config)
        load_checkpoint(network, path)
        return network.eval()

    def load_base(self, paths: Mapping[str, Path], config: AnimateAnyone2Config) -> AnimateAnyone2:
        """See `models.common.base_models`."""
        network = self.new_network(config)
        files = (paths[weights.name] for weights in ANIMATE_ANYONE_BASE)
        begin_from_base(network.denoiser, network.reference_net, network.pose_guider, *files)
        return network

    def conditions(self, clip: ClipBatch, encoder: ClipEncoder, network: AnimateAnyone2) -> ClipConditions:  # noqa: ARG002
        """Latents of reference, environment and objects, masks at their resolution, and one image token each.

        Raises:
            ValueError: a signal is missing.
        """
        frames, missing = clip.signal(SCENE_FRAMES), clip.signal(AGNOSTIC_MASK)
        objects, object_mask = clip.signal(OBJECT_FRAMES), clip.signal(OBJECT_MASK)
        environment = np.where(missing[..., None], np.uint8(0), frames)
        mask_B1FHW, object_share_B1FHW = (_to_latents(mask, encoder) for mask in (missing, object_mask))
        return ClipConditions(
            image_tokens_BLD=encoder.reference_embeds()[:, None],
            reference_latents_BCHW=encoder.reference_latents(),
            poses_BFHWC=clip.poses_BFHWC,
            depth_BFHW=clip.signal(STRUCTURED_DEPTH),
            environment_BCFHW=_latents(environment, np.ones(frames.shape[:2], np.bool_), encoder),
            environment_mask_B1FHW=mask_B1FHW,
            objects_BCFHW=_latents(objects, np.asarray(object_mask.any((2, 3))), encoder),
            object_mask_B1FHW=(object_share_B1FHW > 0).to(mask_B1FHW),
        )

    def denoiser(self, network: AnimateAnyone2, conditions: ClipConditions) -> WindowDenoiser[WindowConditions]:
        """See `Implementation`."""
        reference = network.reference_conditions(conditions)

        def of_window(window: tuple[int, ...], conditional: bool) -> WindowConditions:
            return network.window_conditions(conditions, window, [conditional])

        def predict(latents_BCFHW: Tensor, t_B: Tensor, windows: WindowConditions) -> Tensor:
            return network.predict(latents_BCFHW, t_B, windows, reference)

        return WindowDenoiser(of_window, predict, dtype=conditions.reference_latents_BCHW.dtype)

    def with_known_frames(
        self, conditions: ClipConditions, frames: Sequence[int], latents_CFHW: Tensor
    ) -> ClipConditions:
        """See `Implementation`."""
        return conditions.with_known_frames(frames, latents_CFHW)

    def check_recipe(self, config: AnimateAnyone2Config, recipe: TrainingRecipe) -> None:
        """Samples with a scene, no longer than the temporal layers have positions for."""
        frames, most = recipe.sampling.num_frames, config.temporal.max_frames
        if recipe.sampling.scene is None:
            raise ValueError("the network reads the scene, expected sampling.scene, for example {}, got null")
        if frames > most:
            raise ValueError(f"sampling.num_frames is {frames}, the temporal layers have positions for {most}")

    def shards(self, network: AnimateAnyone2) -> Sequence[nn.Module]:
        """Layers of the denoiser, and the ReferenceNet."""
        return [*network.denoiser.shards(), network.reference_net]

    def predict(self, network: Any, noisy: NoisyBatch, conditions: ClipConditions, stage: int) -> Tensor:  # noqa: ARG002
        """See `Implementation`."""
        conditional = noisy.conditional_B.tolist()
        if any(conditional):
            predicted: Tensor = network(noisy.noisy_BCFHW, noisy.t_B, conditions, conditional)
            return predicted
        # No row would run the ReferenceNet, which has to take part: one conditional row more, with no weight.
        rows = [*range(len(conditional)), 0]
        predicted = network(noisy.noisy_BCFHW[rows], noisy.t_B[rows], conditions.rows(rows), [*conditional, True])
        return predicted[:-1] + 0 * predicted[-1].sum()


def _latents(pictures_BFHWC: NDArray[np.uint8], encoded_BF: NDArray[np.bool_], encoder: ClipEncoder) -> Tensor:
    """(B, C, F, h, w) VAE latents of the frames to encode, 0 for the others."""
    rows, num_frames, height, width, _ = pictures_BFHWC.shape
    reference = encoder.reference_latents()
    latents = reference.new_zeros(rows, num_frames, reference.shape[1], height // LATENT_PX, width // LATENT_PX)
    if encoded_BF.any():
        latents[torch.from_numpy(encoded_BF).to(latents.device)] = encoder.latents(pictures_BFHWC[encoded_BF]).to(
            latents
        )
    return latents.transpose(1, 2)


def _to_latents(masks_BFHW: Masks, encoder: ClipEncoder) -> Tensor:
    """(B, 1, F, h, w) share of each latent's pixels that are in the mask."""
    masks = torch.from_numpy(np.ascontiguousarray(masks_BFHW)).to(encoder.device, encoder.dtype)
    return functional.avg_pool2d(masks, LATENT_PX)[:, None]
