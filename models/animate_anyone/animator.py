"""Animate Anyone as a whole: a picture and skeleton drawings in, a video out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.animate_anyone.network import AnimateAnyone, Conditions
from models.appearance.image_encoder import ImageEncoder
from models.appearance.vae import LATENT_PX, Vae, decode_frames, to_images
from models.common.animator import Animation, AnimationInputs, OnStep, check_pictures
from models.common.limb_warped import LimbWarped
from models.common.memory import MemoryPlan, on_device, with_less_where_needed
from models.sampling.config import WindowConfig
from models.sampling.denoise import Windows, sample
from models.sampling.noise import initial_noise
from models.sampling.schedule import NoiseSchedule
from models.sampling.windows import padded_num_frames, windows

POSE_FEATURE_BYTES = 256 * 2**20
"""Pose features of a whole clip are kept up to this size; those of longer clips are computed again in every window,
which is little beside the denoiser, so that memory does not grow with the clip."""
VAE_BATCH = 4


class AnimateAnyoneAnimator:
    """A loaded Animate Anyone (see `models.common.animator.Animator`).

    What depends on no step is computed once: the reference's features with their keys and values, the image token and
    what it adds, pose features. Windows and the two halves of guidance share calls of the denoiser.
    """

    size_multiple = LATENT_PX

    def __init__(
        self,
        name: str,
        *,
        network: AnimateAnyone,
        vae: Vae,
        image_encoder: ImageEncoder,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        compile: bool = False,  # noqa: A002 (what the option is called everywhere)
        window_batch: int | None = None,
    ) -> None:
        """`window_batch`: rows of a call of the denoiser to begin with; None: 1 on a CPU, whose caches hold no more
        (`bench_animate.py`), 8 elsewhere.
        """
        self.name = name
        self.device, self.dtype = torch.device(device), dtype
        network.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's own miss it
        self.network = network.eval()
        self.vae = vae.to(dtype=dtype).eval()
        self.image_encoder = image_encoder.to(dtype=dtype).eval()
        self.config = network.config
        self.pose_preset = network.config.pose_preset
        self.schedule = NoiseSchedule(network.config.schedule)
        self.denoiser: nn.Module = network.denoiser
        if compile:
            self.denoiser = torch.compile(network.denoiser, dynamic=False)  # type: ignore[assignment]
        self.plan = MemoryPlan(window_batch=window_batch or (1 if self.device.type == "cpu" else 8))

    @torch.no_grad()
    def animate(self, inputs: AnimationInputs, *, on_step: OnStep | None = None) -> Animation:
        """The animation of a request; with less at once where memory runs out.

        Raises:
            ValueError: a side that is no multiple of 8, pictures of different sizes, no frame, or no skeleton or key
                points where the network looks at them.
            torch.OutOfMemoryError: it does not fit even with the least at once.
        """
        check_pictures(inputs, size_multiple=self.size_multiple)
        frames, fallbacks = with_less_where_needed(lambda plan: self._animate(inputs, plan, on_step), self.plan)
        return Animation(frames_THWC=frames, fallbacks=fallbacks)

    def _animate(self, inputs: AnimationInputs, plan: MemoryPlan, on_step: OnStep | None) -> NDArray[np.uint8]:
        config, device = self.config, self.device
        guidance_scale = config.guidance_scale if inputs.guidance_scale is None else inputs.guidance_scale
        pose = _padded(inputs.pose_THWC, config.windows)
        self.vae.tile(on=plan.vae_tiled)
        with on_device(self.vae, device, plan), on_device(self.image_encoder, device, plan):
            reference = to_images(inputs.reference_HWC[None]).to(device, self.dtype)
            latents = self.vae.encode(reference)
            token = self.image_encoder(reference)[:, None]
            warped = self._limb_warped(inputs) if config.limb_warp else None
        reference_pose = self._reference_pose(inputs) if config.reference_pose else None
        noise = initial_noise(latents.shape[1], len(pose), *latents.shape[2:], seed=inputs.seed)
        with on_device(self.network, device, plan):
            conditions = self.network.conditions(token, latents, reference_pose)
            made = sample(
                _ClipDenoiser(self, conditions, pose, None if warped is None else warped.latents_TCHW),
                noise.to(device),
                schedule=self.schedule,
                num_steps=inputs.num_steps or config.num_steps,
                guidance_scale=guidance_scale,
                windows=windows(len(pose), config.windows),
                blend=config.windows.blend,
                window_batch=plan.window_batch,
                on_step=on_step,
            )
        made_TCHW = made[:, : len(inputs.pose_THWC)].transpose(0, 1).to(self.dtype)
        with on_device(self.vae, device, plan):
            frames = decode_frames(self.vae, made_TCHW, batch=VAE_BATCH) if warped is None else warped.decode(made_TCHW)
            return np.concatenate(list(frames))

    def _limb_warped(self, inputs: AnimationInputs) -> LimbWarped:
        return LimbWarped(self.name, inputs, self.vae, device=self.device, dtype=self.dtype, at_once=VAE_BATCH)

    def _reference_pose(self, inputs: AnimationInputs) -> Tensor:
        if inputs.reference_pose_HWC is None:
            raise ValueError(f"{self.name} looks at the reference's skeleton, and got no reference_pose_HWC")
        drawing = torch.from_numpy(inputs.reference_pose_HWC).permute(2, 0, 1)[None] / 255
        return drawing.to(self.device, self.dtype)


class _ClipDenoiser:
    """The denoiser with all that stays the same for a clip in it."""

    def __init__(
        self,
        animator: AnimateAnyoneAnimator,
        conditions: Conditions,
        pose_THWC: NDArray[np.uint8],
        warped_TCHW: Tensor | None,
    ) -> None:
        self.animator, self.conditions, self.pose_THWC, self.warped_TCHW = animator, conditions, pose_THWC, warped_TCHW
        num_frames, height, width, _ = pose_THWC.shape
        channels = animator.network.pose_guider.conv_out.out_channels
        size = num_frames * channels * (height // LATENT_PX) * (width // LATENT_PX) * animator.dtype.itemsize
        self.kept = self._features(range(num_frames)) if size <= POSE_FEATURE_BYTES else None

    def __call__(self, latents_BCFHW: Tensor, t: int, windows: Windows, conditional: Sequence[bool]) -> Tensor:
        """See `models.sampling.denoise.Denoiser`."""
        order = sorted(range(len(windows)), key=lambda row: conditional[row])
        num_plain = len(windows) - sum(conditional)
        found: dict[tuple[int, ...], Tensor] = {}
        for window in windows:
            if tuple(window) not in found:
                found[tuple(window)] = self.kept[:, list(window)] if self.kept is not None else self._features(window)
        pose = torch.stack([found[tuple(windows[row])] for row in order])
        limb_warp = self.animator.network.limb_warp
        if limb_warp is not None and self.warped_TCHW is not None and num_plain < len(order):
            last = len(self.warped_TCHW) - 1  # repeated as the drawings are
            seen = [self.warped_TCHW[[min(frame, last) for frame in windows[row]]] for row in order[num_plain:]]
            pose[num_plain:] += limb_warp(torch.stack(seen).transpose(1, 2))
        x = latents_BCFHW[order].to(self.animator.dtype)
        t_B = torch.full((len(order),), t, device=x.device)
        predicted = self.animator.denoiser(x, t_B, self.conditions, pose, num_plain=num_plain)
        back = sorted(range(len(order)), key=order.__getitem__)
        ordered: Tensor = predicted[back].to(latents_BCFHW.dtype)
        return ordered

    def _features(self, frames: Sequence[int]) -> Tensor:
        """(C, frames, h, w), made a few frames at a time: the first layers work at the full resolution."""
        animator = self.animator
        made = []
        for first in range(0, len(frames), VAE_BATCH):
            drawings = torch.from_numpy(self.pose_THWC[list(frames[first : first + VAE_BATCH])])
            drawn = (drawings.permute(0, 3, 1, 2)[None] / 255).to(animator.device, animator.dtype)
            made.append(animator.network.pose_features(drawn)[0])
        return torch.cat(made, 1)


def _padded(pose_THWC: NDArray[np.uint8], config: WindowConfig) -> NDArray[np.uint8]:
    """The drawings, the last one repeated until open-loop windows fit (MusePose)."""
    if config.layout != "open_loop":
        return pose_THWC
    missing = padded_num_frames(len(pose_THWC), size=config.size, overlap=config.overlap) - len(pose_THWC)
    return np.concatenate([pose_THWC, np.repeat(pose_THWC[-1:], missing, axis=0)])
