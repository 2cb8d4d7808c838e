"""Inference and training of the small X-Dyna."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.animation.clip import ClipBatch, ClipEncoder
from models.appearance.vae import Vae, drawn_latents
from models.puppet_models.draft import Draft
from models.puppet_models.x_dyna.network import PuppetClipConditions, PuppetXDyna
from models.sampling.schedule import NoiseSchedule
from models.sampling.solver import AdamsBashforth, Solver
from models.x_dyna.conditions import BODY, FACE, ClipConditions
from models.x_dyna.config import XDynaConfig
from models.x_dyna.implementation import XDynaImplementation
from models.x_dyna.network import XDyna

FREE_NOISE = 1.05
"""Standard deviation of the first noise where nothing controls: four steps keep 0.91 of the variance of how scenery can
move (`models.sampling.solver`), and 1.05² makes up for it.
"""
CONTROLLED_NOISE = 0.5
"""Standard deviation of the first noise at the skeleton and at the patches of eyes and mouth. With less noise, what
these decide is drawn nearer to its expected value: of one expression rather than between several.
"""


class PuppetXDynaImplementation(XDynaImplementation):
    """Adds the draft to X-Dyna's conditions. One stage trains all networks: there is no Stable Diffusion below them."""

    depends_on_window = False  # its norms are per frame

    def new_network(self, config: XDynaConfig) -> PuppetXDyna:
        """See `Implementation`."""
        return PuppetXDyna(config)

    def conditions(self, clip: ClipBatch, encoder: ClipEncoder, network: XDyna) -> PuppetClipConditions:
        """X-Dyna's conditions, and the draft's latents."""
        conditions = super().conditions(clip, encoder, network)
        draft = Draft(clip, keep_lengths=False, batch=self.batch)
        return PuppetClipConditions(
            **{field.name: getattr(conditions, field.name) for field in fields(conditions)},
            draft_BCFHW=draft.latents(encoder),
            draft=draft,
        )

    def noise_level(self, conditions: ClipConditions) -> Tensor:
        """Less noise where something controls: at patches, and up to a latent from the skeleton."""
        poses, face, runs = conditions.poses_BFHWC[0], conditions.face_BFHWC, conditions.controls_B2[0]
        controlled = functional.max_pool2d(torch.from_numpy(drawn_latents(poses)).float(), 3, 1, 1) * float(runs[BODY])
        if face is not None and runs[FACE]:
            controlled = controlled.maximum(torch.from_numpy(drawn_latents(face[0, ..., :3])).float())
        return FREE_NOISE * (1 - controlled) + CONTROLLED_NOISE * controlled

    def solver(self, schedule: NoiseSchedule) -> Solver:
        """Of second order: DDIM loses too much of the motion of the scenery in few steps."""
        return AdamsBashforth(schedule)

    def decode(self, vae: Vae, latents_TCHW: Tensor, conditions: ClipConditions) -> Iterator[NDArray[np.uint8]]:
        """Frames with the detail that the VAE loses of the draft."""
        assert isinstance(conditions, PuppetClipConditions)
        return conditions.draft.decode(vae, latents_TCHW, conditions.draft_BCFHW[0].transpose(0, 1))

    def runs_face(self, config: XDynaConfig, stage: int) -> bool:  # noqa: ARG002
        """Whether the network reads faces."""
        return config.face

    def trains(self, network: XDyna, name: str, stage: int) -> bool:  # noqa: ARG002
        """All parameters."""
        return True
