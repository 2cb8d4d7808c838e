"""Inference and training of the small Animate-X."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.animate_x.config import AnimateXConfig
from models.animate_x.implementation import AnimateXImplementation
from models.animate_x.network import AnimateX, ClipConditions
from models.animation.clip import ClipBatch, ClipEncoder
from models.appearance.vae import Vae
from models.puppet_models.animate_x.network import PuppetAnimateX, PuppetClipConditions
from models.puppet_models.draft import Draft


class PuppetAnimateXImplementation(AnimateXImplementation):
    """Adds the draft to Animate-X's conditions, with limbs as long as in the reference."""

    def new_network(self, config: AnimateXConfig) -> PuppetAnimateX:
        """See `Implementation`."""
        return PuppetAnimateX(config)

    def conditions(self, clip: ClipBatch, encoder: ClipEncoder, network: AnimateX) -> PuppetClipConditions:
        """Animate-X's conditions and the draft's latents."""
        conditions = super().conditions(clip, encoder, network)
        fields = {field.name: getattr(conditions, field.name) for field in dataclasses.fields(conditions)}
        draft = Draft(clip, keep_lengths=True, batch=self.batch)
        return PuppetClipConditions(**fields, draft_BCFHW=draft.latents(encoder), draft=draft)

    def decode(self, vae: Vae, latents_TCHW: Tensor, conditions: ClipConditions) -> Iterator[NDArray[np.uint8]]:
        """Frames with the detail that the VAE loses of the draft."""
        assert isinstance(conditions, PuppetClipConditions)
        return conditions.draft.decode(vae, latents_TCHW, conditions.draft_BCFHW[0].transpose(0, 1))
