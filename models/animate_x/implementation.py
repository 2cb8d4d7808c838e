"""Animate-X and UniAnimate for inference and training (arXiv 2410.10306, §4 and appendix A)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.animate_x.config import AnimateXConfig
from models.animate_x.denoiser import ClipDenoiser, first_latents
from models.animate_x.indicators import indicator_keypoints
from models.animate_x.network import DROPPABLE, AnimateX, ClipConditions
from models.animate_x.weights import load_published
from models.animation.clip import ClipBatch, ClipEncoder, unit_images
from models.animation.implementation import Implementation
from models.animation.signals import DRIVING_FRAMES, DRIVING_KEYPOINTS, REFERENCE_KEYPOINTS, REFERENCE_POSE
from models.sampling.noise import initial_noise
from models.training.diffusion import NoisyBatch
from models.training.recipe import TrainingRecipe


class AnimateXImplementation(Implementation[AnimateX, ClipConditions]):
    """Trained in one stage, on clips. In training the driving motion is the clip's own: the pose indicator reads the
    targets' keypoints and image embeddings, while skeleton drawings may have been augmented
    (`SamplingConfig.explicit_indicator`), so that the two differ in proportions.
    """

    batch = 8
    cpu_window_batch = 2
    droppable = DROPPABLE

    def new_network(self, config: AnimateXConfig) -> AnimateX:
        """See `Implementation`."""
        return AnimateX(config)

    def load_published(self, path: Path, config: AnimateXConfig) -> AnimateX:
        """From the one file, or from the folder that holds it."""
        return load_published(path, config)

    def conditions(self, clip: ClipBatch, encoder: ClipEncoder, network: AnimateX) -> ClipConditions:
        """See `ClipConditions`; a text encoder's tokens, or zeros where there is none."""
        config: AnimateXConfig = network.config
        text = encoder.text_tokens_1LD
        if text is None:
            text = torch.zeros(1, 1, config.unet.context_width, device=encoder.device, dtype=encoder.dtype)
        embeds = encoder.reference_embeds()
        keypoints = features = None
        if config.indicator is not None:
            features = torch.cat([embeds[:, None], encoder.driving_embeds()], 1)
            keypoints = torch.from_numpy(_indicator_keypoints(clip)).to(encoder.device, encoder.dtype)
        pose = None
        if config.reference != "picture":
            pose = unit_images(clip.signal(REFERENCE_POSE), encoder.device, encoder.dtype)
        return ClipConditions(
            image_embeds_BE=embeds,
            text_tokens_1LD=text,
            reference_B3HW=unit_images(clip.pictures_BHWC, encoder.device, encoder.dtype),
            reference_latents_BCHW=encoder.reference_latents(),
            reference_pose_B3HW=pose,
            poses_BFHWC=clip.poses_BFHWC,
            keypoints_BGK=keypoints,
            features_BGE=features,
        )

    def denoiser(self, network: AnimateX, conditions: ClipConditions) -> ClipDenoiser:
        """See `Implementation`."""
        return ClipDenoiser(network, conditions)

    def first_latents(
        self,
        noise_CFHW: Tensor,
        reference_latents_CHW: Tensor,
        config: AnimateXConfig,
        *,
        num_windows: int,
        t: int,  # noqa: ARG002
        seed: int,
    ) -> Tensor:
        """Offset noise, and UniAnimate's noise prior."""
        # A stream apart from the noise's, whatever the seeds of other requests.
        channels, num_frames = noise_CFHW.shape[:2]
        offset = initial_noise(channels, num_frames, 1, 1, seed=seed + 2**32).to(noise_CFHW.device)
        return first_latents(noise_CFHW, offset, reference_latents_CHW, config, num_windows=num_windows)

    def check_recipe(self, config: AnimateXConfig, recipe: TrainingRecipe) -> None:
        """A clip and its reference must not be longer than the temporal layers have positions for."""
        temporal, frames = config.temporal, recipe.sampling.num_frames
        if temporal.positions and temporal.mamba is None and frames >= temporal.max_frames:
            raise ValueError(
                f"sampling.num_frames is {frames}, and the reference one more; the temporal layers have positions for "
                f"{temporal.max_frames}"
            )

    def shards(self, network: AnimateX) -> Sequence[nn.Module]:
        """Layers of the denoiser, and the pose indicator."""
        return [*network.denoiser.shards(), *([] if network.indicator is None else [network.indicator])]

    def predict(self, network: Any, noisy: NoisyBatch, conditions: ClipConditions, stage: int) -> Tensor:  # noqa: ARG002
        """See `Implementation`."""
        predicted: Tensor = network(noisy.noisy_BCFHW, noisy.t_B, conditions, noisy.conditional_B, noisy.kept_BP)
        return predicted


def _indicator_keypoints(clip: ClipBatch) -> NDArray[np.float32]:
    """(B, F + 1, 36): the references' joints, then those of the driving frames."""
    height, width = driving_height, driving_width = clip.poses_BFHWC.shape[2:4]
    # Where embeddings are stored, there are no driving frames, and keypoints are in the poses' pixels.
    if DRIVING_FRAMES in clip.signals:
        driving_height, driving_width = clip.signal(DRIVING_FRAMES).shape[2:4]
    rows = zip(clip.signal(REFERENCE_KEYPOINTS), clip.signal(DRIVING_KEYPOINTS), strict=True)
    return np.stack(
        [
            np.concatenate(
                [
                    indicator_keypoints(reference[None], height_px=height, width_px=width),
                    indicator_keypoints(driving, height_px=driving_height, width_px=driving_width),
                ]
            )
            for reference, driving in rows
        ]
    )
