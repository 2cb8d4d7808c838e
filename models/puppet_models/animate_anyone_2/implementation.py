"""Inference and training of the small Animate Anyone 2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.animate_anyone_2.conditions import ClipConditions
from models.animate_anyone_2.config import AnimateAnyone2Config
from models.animate_anyone_2.implementation import AnimateAnyone2Implementation
from models.animate_anyone_2.network import AnimateAnyone2
from models.animation.clip import ClipBatch, ClipEncoder, unit_images
from models.animation.signals import REFERENCE_POSE
from models.appearance.vae import Vae
from models.puppet_models.animate_anyone_2.network import PuppetAnimateAnyone2, PuppetClipConditions
from models.puppet_models.scene_draft import SceneDraft


class PuppetAnimateAnyone2Implementation(AnimateAnyone2Implementation):
    """Adds the reference's skeleton and the draft to Animate Anyone 2's conditions."""

    def new_network(self, config: AnimateAnyone2Config) -> PuppetAnimateAnyone2:
        """See `Implementation`."""
        return PuppetAnimateAnyone2(config)

    def conditions(self, clip: ClipBatch, encoder: ClipEncoder, network: AnimateAnyone2) -> PuppetClipConditions:
        """Animate Anyone 2's conditions, drawings of the references' skeletons, and the draft's latents."""
        conditions = super().conditions(clip, encoder, network)
        draft = SceneDraft(clip, batch=self.batch)
        return PuppetClipConditions(
            **{field.name: getattr(conditions, field.name) for field in fields(conditions)},
            reference_pose_B3HW=unit_images(clip.signal(REFERENCE_POSE), encoder.device, encoder.dtype),
            draft_BCFHW=draft.latents(encoder),
            draft=draft,
        )

    def decode(self, vae: Vae, latents_TCHW: Tensor, conditions: ClipConditions) -> Iterator[NDArray[np.uint8]]:
        """Frames with the detail that the VAE loses of the draft."""
        assert isinstance(conditions, PuppetClipConditions)
        return conditions.draft.decode(vae, latents_TCHW, conditions.draft_BCFHW[0].transpose(0, 1))
