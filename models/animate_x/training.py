"""Animate-X as something to train (arXiv 2410.10306, §4 and appendix A): all of it at once, on clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from models.animate_x.indicators import indicator_keypoints
from models.animate_x.network import PARTS, AnimateX
from models.appearance.image_encoder import ImageEncoder
from models.appearance.vae import Vae
from models.pose.pose_augment import realigned
from models.sampling.schedule import NoiseSchedule
from models.training.batch import SampleBatch
from models.training.diffusion import add_noise
from models.training.encodings import Encodings, drawings, warped_latents
from models.training.recipe import TrainingRecipe


class AnimateXTask:
    """The driving motion is the clip's own: the pose indicator reads the targets' key points, as they were found, and
    their image embeddings; skeleton drawings are what the explicit indicator made of them
    (`SamplingConfig.explicit_indicator`), so that motion and drawing tell different proportions.

    Rows drawn for condition dropout are the unconditional half of guidance, whose pose indicator reads zeros; others
    may be drawn to lack image tokens, reference or skeletons, each by itself. Latents are the VAE's means.

    Args:
        vae, image_encoder: read only; moved to `device`, on which the network is trained.
        text_tokens_1LD: of the empty text, the same for every row.
        keep_bytes: memory for the encodings of pictures, each computed once. Of no use, and not taken, where the recipe
            crops at random, because no picture comes back then.

    Raises:
        ValueError: another stage than 1, or more frames than the temporal layers know places for.
    """

    def __init__(
        self,
        network: AnimateX,
        recipe: TrainingRecipe,
        *,
        vae: Vae,
        image_encoder: ImageEncoder,
        text_tokens_1LD: Tensor,
        device: torch.device,
        keep_bytes: int = 0,
    ) -> None:
        _check(network, recipe)
        self.network = network
        self.recipe = recipe
        self.schedule = NoiseSchedule(network.config.schedule)
        self._device = device
        self._text_tokens_1LD = text_tokens_1LD.to(device)
        for frozen in (vae, image_encoder):
            frozen.eval().requires_grad_(False).to(device)
        keep_bytes = keep_bytes if recipe.sampling.min_crop_share == 1 else 0
        self._encode = vae.encode
        self._latents = Encodings(vae.encode, device=device, keep_bytes=keep_bytes)
        self._embeds = Encodings(image_encoder, device=device, keep_bytes=keep_bytes)

    def learns(self, name: str) -> bool:  # noqa: ARG002 (of any name)
        """Everything learns."""
        return True

    def shards(self) -> Sequence[nn.Module]:
        """The pose indicator, and of the denoiser what is only ever called as a whole."""
        return [*self.network.denoiser.shards(), *([] if self.network.indicator is None else [self.network.indicator])]

    def row_losses(self, network: nn.Module, batch: SampleBatch) -> Tensor:
        """(B) float32, the diffusion loss of each row."""
        # Read by the network itself, so that it is decoded whatever else is stored.
        assert batch.references_BHWC is not None
        rows, num_frames = batch.target_frames_BF.shape
        targets_NCHW = self._latents.targets(batch, batch.latents_BGCHW)
        noisy = add_noise(
            targets_NCHW.reshape(rows, num_frames, *targets_NCHW.shape[1:]).transpose(1, 2),
            batch.samples_B.tolist(),
            schedule=self.schedule,
            config=self.recipe.loss,
            seed=self.recipe.seed,
            num_parts=len(PARTS),
        )
        embeds_BE = self._embeds.references(batch, batch.embeddings_BGE)
        features_BFE = None
        if self.network.indicator is not None:
            driving_NE = self._embeds.targets(batch, batch.embeddings_BGE)
            features_BFE = torch.cat([embeds_BE[:, None], driving_NE.reshape(rows, num_frames, -1)], 1)
        warped: dict[str, Tensor] = {}
        if self.network.config.limb_warp:
            warped["warped_BCFHW"] = warped_latents(_with_own_lengths(batch), self._encode, self._device)
        prediction = network(
            noisy.noisy_BCFHW,
            noisy.t_B,
            embeds_BE,
            self._text_tokens_1LD,
            drawings(batch.references_BHWC, self._device),
            self._latents.references(batch, batch.latents_BGCHW),
            drawings(batch.reference_poses_BHWC, self._device),
            drawings(batch.poses_BFHWC, self._device),
            self._keypoints(batch),
            features_BFE,
            noisy.conditional_B,
            noisy.kept_BP,
            **warped,
        )
        return noisy.row_losses(prediction)

    def _keypoints(self, batch: SampleBatch) -> Tensor:
        """(B, F + 1, 36)."""
        height_px, width_px = batch.reference_poses_BHWC.shape[1:3]
        found = [indicator_keypoints(row, height_px=height_px, width_px=width_px) for row in batch.keypoints_BGK3]
        return torch.from_numpy(np.stack(found)).to(self._device)


def _with_own_lengths(batch: SampleBatch) -> SampleBatch:
    """With the skeletons back on the proportions of each row's reference."""
    rows = zip(batch.pose_keypoints_BFK3, batch.keypoints_BGK3[:, 0], strict=True)
    return replace(batch, pose_keypoints_BFK3=np.stack([realigned(poses, reference) for poses, reference in rows]))


def _check(network: AnimateX, recipe: TrainingRecipe) -> None:
    if recipe.stage != 1:
        raise ValueError(f"Animate-X is trained in one stage, got stage {recipe.stage}")
    temporal, frames = network.config.temporal, recipe.sampling.num_frames
    if temporal.positions and temporal.mamba is None and frames >= temporal.max_frames:
        raise ValueError(
            f"sampling.num_frames is {frames}, and the reference one more; the temporal layers know places for "
            f"{temporal.max_frames}"
        )
