"""X-Dyna for inference and for training in the two stages of arXiv 2501.10021, §4.1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.animation.clip import ClipBatch, ClipEncoder
from models.animation.implementation import Implementation
from models.animation.signals import CONTROLS, FACE_CONTROL
from models.common.unet.unet import is_temporal
from models.sampling.noise import initial_noise
from models.sampling.schedule import NoiseSchedule
from models.training.diffusion import NoisyBatch
from models.training.recipe import TrainingRecipe
from models.x_dyna.base import load_base
from models.x_dyna.conditions import ClipConditions
from models.x_dyna.config import XDynaConfig
from models.x_dyna.denoiser import ClipDenoiser
from models.x_dyna.network import XDyna
from models.x_dyna.sampling import first_latents
from models.x_dyna.weights import load_published


class XDynaImplementation(Implementation[XDyna, ClipConditions]):
    """Stage 1: Dynamics-Adapter, pose ControlNet and temporal layers, without a face. Stage 2: the S-Face ControlNet
    alone. The Stable Diffusion below stays frozen.

    Rows without conditions have blank image tokens, and keep the reference's frame, pose and face.
    """

    depends_on_window = True
    batch = 4
    cpu_window_batch = 1

    def new_network(self, config: XDynaConfig) -> XDyna:
        """See `Implementation`."""
        return XDyna(config)

    def load_published(self, path: Path, config: XDynaConfig) -> XDyna:
        """From the folder of the three files' folders."""
        return load_published(path, config)

    def load_base(self, paths: Mapping[str, Path], config: XDynaConfig) -> XDyna:
        """See `models.x_dyna.base`."""
        return load_base(paths, config)

    def conditions(self, clip: ClipBatch, encoder: ClipEncoder, network: XDyna) -> ClipConditions:
        """See `ClipConditions`."""
        config: XDynaConfig = network.config
        text = encoder.text_tokens_1LD
        if text is None:
            text = torch.zeros(1, 1, config.unet.context_width, device=encoder.device, dtype=encoder.dtype)
        return ClipConditions(
            image_tokens_BLD=encoder.image_tokens(),
            blank_tokens_1LD=encoder.blank_image_tokens(),
            text_tokens_1LD=text,
            reference_latents_BCHW=encoder.reference_latents(),
            poses_BFHWC=clip.poses_BFHWC,
            face_BFHWC=clip.signal(FACE_CONTROL) if config.face else None,
            controls_B2=clip.signal(CONTROLS),
        )

    def denoiser(self, network: XDyna, conditions: ClipConditions) -> ClipDenoiser:
        """See `Implementation`."""
        return ClipDenoiser(network, conditions)

    def first_latents(
        self,
        noise_CFHW: Tensor,
        reference_latents_CHW: Tensor,
        config: XDynaConfig,
        *,
        num_windows: int,  # noqa: ARG002
        t: int,
        seed: int,
    ) -> Tensor:
        """The reference with noise; half of its values, drawn at random, are blurred."""
        # A stream apart from the noise's, whatever the seeds of other requests. Half of its values are negative.
        blurs = initial_noise(*noise_CFHW.shape, seed=seed + 2**32).to(noise_CFHW.device) < 0
        return first_latents(noise_CFHW, blurs, reference_latents_CHW, NoiseSchedule(config.schedule), t=t)

    def check_recipe(self, config: XDynaConfig, recipe: TrainingRecipe) -> None:
        """Clips no longer than the temporal layers have positions for; faces in stage 2, and only there."""
        frames, most = recipe.sampling.num_frames, config.temporal.max_frames
        if recipe.stage == 2 and not config.face:
            raise ValueError("stage 2 trains the S-Face ControlNet, got a network with face: false")
        has_faces = self.runs_face(config, recipe.stage)
        if recipe.sampling.face_control != has_faces:
            given, wanted = (str(value).lower() for value in (recipe.sampling.face_control, has_faces))
            raise ValueError(f"stage {recipe.stage} is trained with sampling.face_control={wanted}, got {given}")
        if frames > most:
            raise ValueError(f"sampling.num_frames is {frames}, the temporal layers have positions for {most}")

    def runs_face(self, config: XDynaConfig, stage: int) -> bool:
        """Whether the stage has faces."""
        return config.face and stage == 2

    def enter_stage(self, network: XDyna, stage: int) -> None:
        """See `runs_face`."""
        network.runs_face = self.runs_face(network.config, stage)

    def trains(self, network: XDyna, name: str, stage: int) -> bool:  # noqa: ARG002
        """See the class."""
        if stage == 2:
            return name.startswith("face_control.")
        return name.startswith(("pose_control.", "reference_net.")) or "_ff." in name or is_temporal(name)

    def shards(self, network: XDyna) -> Sequence[nn.Module]:
        """Layers of the denoiser, and the networks beside it."""
        beside = (network.pose_control, network.face_control, network.reference_net)
        return [*network.denoiser.shards(), *(part for part in beside if part is not None)]

    def predict(self, network: Any, noisy: NoisyBatch, conditions: ClipConditions, stage: int) -> Tensor:  # noqa: ARG002
        """See `Implementation`."""
        predicted: Tensor = network(noisy.noisy_BCFHW, noisy.t_B, conditions, noisy.conditional_B)
        return predicted
