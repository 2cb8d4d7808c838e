"""Inference and training of the small Animate Anyone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.animate_anyone.config import AnimateAnyoneConfig
from models.animate_anyone.implementation import AnimateAnyoneImplementation
from models.animate_anyone.network import AnimateAnyone, ClipConditions
from models.animation.clip import ClipBatch, ClipEncoder, unit_images
from models.animation.signals import REFERENCE_POSE
from models.appearance.vae import Vae
from models.puppet_models.animate_anyone.network import PuppetAnimateAnyone, PuppetClipConditions
from models.puppet_models.draft import Draft


class PuppetAnimateAnyoneImplementation(AnimateAnyoneImplementation):
    """Adds the reference's skeleton and the draft to Animate Anyone's conditions."""

    def new_network(self, config: AnimateAnyoneConfig) -> PuppetAnimateAnyone:
        """See `Implementation`."""
        return PuppetAnimateAnyone(config)

    def conditions(self, clip: ClipBatch, encoder: ClipEncoder, network: AnimateAnyone) -> PuppetClipConditions:
        """Animate Anyone's conditions, drawings of the references' skeletons, and the draft's latents."""
        conditions = super().conditions(clip, encoder, network)
        draft = Draft(clip, keep_lengths=False, batch=self.batch)
        return PuppetClipConditions(
            image_tokens_BLD=conditions.image_tokens_BLD,
            reference_latents_BCHW=conditions.reference_latents_BCHW,
            poses_BFHWC=conditions.poses_BFHWC,
            reference_pose_B3HW=unit_images(clip.signal(REFERENCE_POSE), encoder.device, encoder.dtype),
            draft_BCFHW=draft.latents(encoder),
            draft=draft,
        )

    def decode(self, vae: Vae, latents_TCHW: Tensor, conditions: ClipConditions) -> Iterator[NDArray[np.uint8]]:
        """Frames with the detail that the VAE loses of the draft."""
        assert isinstance(conditions, PuppetClipConditions)
        return conditions.draft.decode(vae, latents_TCHW, conditions.draft_BCFHW[0].transpose(0, 1))
