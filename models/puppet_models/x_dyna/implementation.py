"""Inference and training of the small X-Dyna."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.animation.clip import ClipBatch, ClipEncoder
from models.appearance.vae import Vae
from models.puppet_models.draft import Draft
from models.puppet_models.x_dyna.network import PuppetClipConditions, PuppetXDyna
from models.x_dyna.conditions import ClipConditions
from models.x_dyna.config import XDynaConfig
from models.x_dyna.implementation import XDynaImplementation
from models.x_dyna.network import XDyna


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
