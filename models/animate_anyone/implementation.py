"""Animate Anyone for inference and for training in the two stages of arXiv 2311.17117, §3.4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.animate_anyone.config import AnimateAnyoneConfig
from models.animate_anyone.denoiser import ClipDenoiser
from models.animate_anyone.network import AnimateAnyone, ClipConditions
from models.animate_anyone.weights import load_published
from models.animation.clip import ClipBatch, ClipEncoder
from models.animation.implementation import Implementation
from models.common.base_models import begin_from_base
from models.common.unet.unet import is_temporal
from models.training.diffusion import NoisyBatch
from models.training.recipe import TrainingRecipe
from models.weights.base import ANIMATE_ANYONE_BASE


class AnimateAnyoneImplementation(Implementation[AnimateAnyone, ClipConditions]):
    """Stage 1: single frames, everything but the temporal layers, which are off. Stage 2: clips, only the temporal
    layers. In stage 1 the frames of a sample share one pass of the ReferenceNet and one step of noise.

    Rows without conditions have no reference and a zero image token, and keep their pose.
    """

    batch = 4
    cpu_window_batch = 1  # a CPU's caches hold no more (tests/benchmarks/bench_animate.py)

    def new_network(self, config: AnimateAnyoneConfig) -> AnimateAnyone:
        """See `Implementation`."""
        return AnimateAnyone(config)

    def load_published(self, path: Path, config: AnimateAnyoneConfig) -> AnimateAnyone:
        """From the folder of the four files."""
        return load_published(path, config)

    def load_base(self, paths: Mapping[str, Path], config: AnimateAnyoneConfig) -> AnimateAnyone:
        """See `models.common.base_models`."""
        network = self.new_network(config)
        files = (paths[weights.name] for weights in ANIMATE_ANYONE_BASE)
        begin_from_base(network.denoiser, network.reference_net, network.pose_guider, *files)
        return network

    def conditions(self, clip: ClipBatch, encoder: ClipEncoder, network: AnimateAnyone) -> ClipConditions:  # noqa: ARG002
        """Reference latents and one image token each."""
        return ClipConditions(
            image_tokens_BLD=encoder.reference_embeds()[:, None],
            reference_latents_BCHW=encoder.reference_latents(),
            poses_BFHWC=clip.poses_BFHWC,
        )

    def denoiser(self, network: AnimateAnyone, conditions: ClipConditions) -> ClipDenoiser:
        """See `Implementation`."""
        return ClipDenoiser(network, conditions)

    def check_recipe(self, config: AnimateAnyoneConfig, recipe: TrainingRecipe) -> None:
        """Stage 2 needs clips, no longer than the temporal layers have positions for."""
        frames, most = recipe.sampling.num_frames, config.temporal.max_frames
        if recipe.stage == 2 and frames == 1:
            raise ValueError("stage 2 trains on clips, got sampling.num_frames 1")
        if frames > most:
            raise ValueError(f"sampling.num_frames is {frames}, the temporal layers have positions for {most}")

    def enter_stage(self, network: AnimateAnyone, stage: int) -> None:
        """Temporal layers are on in stage 2 only."""
        network.denoiser.temporal = stage == 2

    def trains(self, network: AnimateAnyone, name: str, stage: int) -> bool:  # noqa: ARG002
        """Temporal layers in stage 2, everything else in stage 1."""
        return is_temporal(name) == (stage == 2)

    def shards(self, network: AnimateAnyone) -> Sequence[nn.Module]:
        """Layers of the denoiser, and the ReferenceNet."""
        return [*network.denoiser.shards(), network.reference_net]

    def predict(self, network: Any, noisy: NoisyBatch, conditions: ClipConditions, stage: int) -> Tensor:
        """See `Implementation`."""
        x, t_B, conditional_B = noisy.noisy_BCFHW, noisy.t_B, noisy.conditional_B
        if stage == 2 or conditional_B.any():
            predicted: Tensor = network(x, t_B, conditions, conditional_B)
            return predicted
        # No row would run the ReferenceNet, which has to take part: one conditional row more, with no weight.
        rows = [*range(len(x)), 0]
        predicted = network(
            x[rows], t_B[rows], conditions.rows(rows), torch.cat([conditional_B, torch.ones_like(conditional_B[:1])])
        )
        return predicted[:-1] + 0 * predicted[-1].sum()
