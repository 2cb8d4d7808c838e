"""Animate Anyone as something to train, in the two stages of arXiv 2311.17117, §3.4."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from models.animate_anyone.network import AnimateAnyone
from models.appearance.image_encoder import ImageEncoder
from models.appearance.vae import Vae
from models.sampling.schedule import NoiseSchedule
from models.training.batch import SampleBatch
from models.training.diffusion import add_noise
from models.training.encodings import Encodings, drawings, warped_latents
from models.training.recipe import TrainingRecipe


class AnimateAnyoneTask:
    """Stage 1: frames, each for itself; all learns but the temporal layers, which are off. Stage 2: clips; only the
    temporal layers learn. Several frames of a sample in stage 1 share one pass of the ReferenceNet, and one step of
    noise.

    Rows drawn for condition dropout see no reference and a zero image token, as the unconditional half of guidance does
    at inference; they keep their pose. Latents are the VAE's means, of targets as of references.

    Args:
        vae, image_encoder: read only; moved to `device`, on which the network is trained.
        keep_bytes: memory for the encodings of pictures, each computed once. Of no use, and not taken, where the recipe
            crops at random, because no picture comes back then.

    Raises:
        ValueError: an unknown stage, or one that does not go with the number of frames.
    """

    def __init__(
        self,
        network: AnimateAnyone,
        recipe: TrainingRecipe,
        *,
        vae: Vae,
        image_encoder: ImageEncoder,
        device: torch.device,
        keep_bytes: int = 0,
    ) -> None:
        _check(network, recipe)
        self.network = network
        self.recipe = recipe
        self.schedule = NoiseSchedule(network.config.schedule)
        self._device = device
        network.denoiser.temporal = recipe.stage == 2
        temporal = {id(parameter) for parameter in network.temporal_parameters()}
        self._temporal_names = {name for name, p in network.named_parameters() if id(p) in temporal}
        for frozen in (vae, image_encoder):
            frozen.eval().requires_grad_(False).to(device)
        keep_bytes = keep_bytes if recipe.sampling.min_crop_share == 1 else 0
        self._encode = vae.encode
        self._latents = Encodings(vae.encode, device=device, keep_bytes=keep_bytes)
        self._tokens = Encodings(image_encoder, device=device, keep_bytes=keep_bytes)

    def learns(self, name: str) -> bool:
        """Whether the stage trains the parameter of this name."""
        return (name in self._temporal_names) == (self.recipe.stage == 2)

    def shards(self) -> Sequence[nn.Module]:
        """The ReferenceNet, and of the denoiser what is only ever called as a whole."""
        return [*self.network.denoiser.shards(), self.network.reference_net]

    def row_losses(self, network: nn.Module, batch: SampleBatch) -> Tensor:
        """(B) float32, the diffusion loss of each row."""
        rows, num_frames = batch.target_frames_BF.shape
        targets_NCHW = self._latents.targets(batch, batch.latents_BGCHW)
        noisy = add_noise(
            targets_NCHW.reshape(rows, num_frames, *targets_NCHW.shape[1:]).transpose(1, 2),
            batch.samples_B.tolist(),
            schedule=self.schedule,
            config=self.recipe.loss,
            seed=self.recipe.seed,
        )
        inputs = (
            noisy.noisy_BCFHW,
            noisy.t_B,
            self._tokens.references(batch, batch.embeddings_BGE)[:, None],
            drawings(batch.poses_BFHWC, self._device),
            self._latents.references(batch, batch.latents_BGCHW),
        )
        drawn: dict[str, Tensor] = {}
        if self.network.config.reference_pose:
            drawn["reference_pose_B3HW"] = drawings(batch.reference_poses_BHWC, self._device)
        if self.network.config.limb_warp:
            drawn["warped_BCFHW"] = warped_latents(batch, self._encode, self._device)
        predict: Callable[..., Tensor] = network
        if self.recipe.stage == 2 or noisy.conditional_B.any():
            return noisy.row_losses(predict(*inputs, noisy.conditional_B, **drawn))
        # Nothing would need the ReferenceNet, which has to take part: one more row does, for nothing.
        conditional_B = torch.cat([noisy.conditional_B, torch.ones_like(noisy.conditional_B[:1])])
        more = [torch.cat([rows, rows[:1]]) for rows in inputs]
        more_drawn = {name: torch.cat([rows, rows[:1]]) for name, rows in drawn.items()}
        prediction = predict(*more, conditional_B, **more_drawn)
        return noisy.row_losses(prediction[:-1]) + 0 * prediction[-1].sum()


def _check(network: AnimateAnyone, recipe: TrainingRecipe) -> None:
    if recipe.stage not in (1, 2):
        raise ValueError(f"Animate Anyone is trained in stages 1 and 2, got stage {recipe.stage}")
    frames, most = recipe.sampling.num_frames, network.config.temporal.max_frames
    if recipe.stage == 2 and frames == 1:
        raise ValueError("stage 2 learns from clips, got sampling.num_frames 1")
    if frames > most:
        raise ValueError(f"sampling.num_frames is {frames}, the temporal layers know places for {most}")
