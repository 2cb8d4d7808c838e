"""Animate-X and UniAnimate as a whole: a picture, skeleton drawings and the driving motion in, a video out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.animate_x.clip import ClipDenoiser, ClipInputs, first_latents
from models.animate_x.indicators import indicator_keypoints
from models.animate_x.network import AnimateX
from models.appearance.image_encoder import ImageEncoder
from models.appearance.vae import LATENT_PX, Vae, decode_frames, to_images
from models.common.animator import Animation, AnimationInputs, OnStep, check_pictures
from models.common.limb_warped import LimbWarped
from models.common.memory import MemoryPlan, channels_last, on_device, with_less_where_needed
from models.pose.pose_augment import realigned
from models.sampling.denoise import sample
from models.sampling.noise import initial_noise
from models.sampling.schedule import NoiseSchedule
from models.sampling.windows import windows

PICTURES_AT_ONCE = 8


class AnimateXAnimator:
    """A loaded Animate-X or UniAnimate (see `models.common.animator.Animator`)."""

    size_multiple = LATENT_PX

    def __init__(
        self,
        name: str,
        *,
        network: AnimateX,
        vae: Vae,
        image_encoder: ImageEncoder,
        text_tokens_1LD: Tensor,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        compile: bool = False,  # noqa: A002 (what the option is called everywhere)
        window_batch: int | None = None,
    ) -> None:
        """`text_tokens_1LD`: of the empty text, the same for every request. `window_batch`: rows of a call of the
        denoiser to begin with; None: 2 on a CPU, 8 elsewhere.
        """
        self.name = name
        self.device, self.dtype = torch.device(device), dtype
        self.network = network.to(dtype=dtype).eval()
        channels_last(network)
        self.vae = vae.to(dtype=dtype).eval()
        self.image_encoder = image_encoder.to(dtype=dtype).eval()
        self.text_tokens_1LD = text_tokens_1LD
        self.config = network.config
        self.pose_preset = network.config.pose_preset
        self.schedule = NoiseSchedule(network.config.schedule)
        self.denoiser: Callable[..., Tensor] = network.denoiser
        if compile:
            self.denoiser = torch.compile(network.denoiser, dynamic=False)
        self.plan = MemoryPlan(window_batch=window_batch or (2 if self.device.type == "cpu" else 8))

    @torch.no_grad()
    def animate(self, inputs: AnimationInputs, *, on_step: OnStep | None = None) -> Animation:
        """The animation of a request; with less at once where memory runs out.

        Raises:
            ValueError: a side that is no multiple of 8, pictures of different sizes, no frame, or nothing of the
                driving motion, of key points or of the reference's skeleton where the network looks at them.
            torch.OutOfMemoryError: it does not fit even with the least at once.
        """
        check_pictures(inputs, size_multiple=self.size_multiple)
        if self.config.indicator is not None:
            _check_motion(self.name, inputs)
        frames, fallbacks = with_less_where_needed(lambda plan: self._animate(inputs, plan, on_step), self.plan)
        return Animation(frames_THWC=frames, fallbacks=fallbacks)

    def _animate(self, inputs: AnimationInputs, plan: MemoryPlan, on_step: OnStep | None) -> NDArray[np.uint8]:
        config, device = self.config, self.device
        guidance_scale = config.guidance_scale if inputs.guidance_scale is None else inputs.guidance_scale
        num_frames = len(inputs.pose_THWC)
        covering = windows(num_frames, config.windows)
        self.vae.tile(on=plan.vae_tiled)
        with on_device(self.vae, device, plan):
            latents = self.vae.encode(to_images(inputs.reference_HWC[None]).to(device, self.dtype))
            warped = self._limb_warped(inputs) if config.limb_warp else None
        with on_device(self.image_encoder, device, plan):
            embeds, features = self._embeddings(inputs)
        size = (num_frames, *latents.shape[2:])
        noise = initial_noise(latents.shape[1], *size, seed=inputs.seed)
        # Another stream than the noise's, whatever the seeds of other requests.
        offset = initial_noise(latents.shape[1], num_frames, 1, 1, seed=inputs.seed + 2**32)
        with on_device(self.network, device, plan):
            clip = ClipInputs(
                image_embeds_1E=embeds,
                text_tokens_1LD=self.text_tokens_1LD.to(device, self.dtype),
                reference_13HW=self._drawings(inputs.reference_HWC[None]),
                reference_latents_1CHW=latents,
                reference_pose_13HW=self._drawings(self._reference_pose(inputs)[None]),
                poses=lambda start, stop: self._drawings(inputs.pose_THWC[start:stop]),
                num_frames=num_frames,
                keypoints_FK=None if features is None else self._keypoints(inputs),
                features_FE=features,
                warped_CFHW=None if warped is None else warped.latents_TCHW.transpose(0, 1),
            )
            made = sample(
                ClipDenoiser(self.network, clip, self.denoiser),
                first_latents(
                    noise.to(device),
                    offset.to(device),
                    latents[0].float(),
                    config,
                    num_windows=len(covering),
                ),
                schedule=self.schedule,
                num_steps=inputs.num_steps or config.num_steps,
                guidance_scale=guidance_scale,
                windows=covering,
                blend=config.windows.blend,
                window_batch=plan.window_batch,
                on_step=on_step,
            )
        with on_device(self.vae, device, plan):
            made_TCHW = made.transpose(0, 1).to(self.dtype)
            if warped is not None:
                return np.concatenate(list(warped.decode(made_TCHW)))
            return np.concatenate(list(decode_frames(self.vae, made_TCHW, batch=PICTURES_AT_ONCE)))

    def _drawings(self, pictures_NHWC: NDArray[np.uint8]) -> Tensor:
        """(N, 3, H, W), 0–1."""
        pictures = torch.from_numpy(np.ascontiguousarray(pictures_NHWC))
        return (pictures.permute(0, 3, 1, 2).float() / 255).to(self.device, self.dtype)

    def _limb_warped(self, inputs: AnimationInputs) -> LimbWarped:
        reference, poses = inputs.reference_keypoints_K3, inputs.pose_keypoints_TK3
        if reference is not None and poses is not None:
            inputs = replace(inputs, pose_keypoints_TK3=realigned(poses, reference))
        return LimbWarped(self.name, inputs, self.vae, device=self.device, dtype=self.dtype, at_once=PICTURES_AT_ONCE)

    def _reference_pose(self, inputs: AnimationInputs) -> NDArray[np.uint8]:
        if inputs.reference_pose_HWC is not None:
            return inputs.reference_pose_HWC
        if self.config.reference != "picture":
            raise ValueError(f"{self.name} looks at the reference's skeleton, and got no reference_pose_HWC")
        return np.zeros_like(inputs.reference_HWC)  # not looked at

    def _embeddings(self, inputs: AnimationInputs) -> tuple[Tensor, Tensor | None]:
        """Of the reference, (1, E); and of it and the driving frames, (T + 1, E), for the pose indicator."""

        def embed(pictures_NHWC: NDArray[np.uint8]) -> Tensor:
            embeds: Tensor = self.image_encoder(to_images(pictures_NHWC).to(self.device, self.dtype))
            return embeds

        reference = embed(inputs.reference_HWC[None])
        driving = inputs.driving_THWC
        if self.config.indicator is None or driving is None:
            return reference, None
        parts = [embed(driving[start : start + PICTURES_AT_ONCE]) for start in range(0, len(driving), PICTURES_AT_ONCE)]
        return reference, torch.cat([reference, *parts])

    def _keypoints(self, inputs: AnimationInputs) -> Tensor:
        """(T + 1, 36): the reference's joints and the driving frames'."""
        driving, keypoints = inputs.driving_THWC, inputs.driving_keypoints_TK3
        reference = inputs.reference_keypoints_K3
        assert driving is not None
        assert keypoints is not None
        found = [indicator_keypoints(keypoints, height_px=driving.shape[1], width_px=driving.shape[2])]
        # As the public code does, the first driving frame stands in for a reference without a skeleton.
        first = found[0][:1]
        if reference is not None:
            height, width, _ = inputs.reference_HWC.shape
            first = indicator_keypoints(reference[None], height_px=height, width_px=width)
        return torch.from_numpy(np.concatenate([first, *found])).to(self.device, self.dtype)


def _check_motion(name: str, inputs: AnimationInputs) -> None:
    driving, keypoints, frames = inputs.driving_THWC, inputs.driving_keypoints_TK3, len(inputs.pose_THWC)
    if driving is None or keypoints is None:
        raise ValueError(f"{name} looks at the motion itself, and got no driving_THWC or no driving_keypoints_TK3")
    if len(driving) != frames or len(keypoints) != frames:
        raise ValueError(
            f"{frames} skeleton drawings go with as many driving frames and key points, got {len(driving)} frames and "
            f"key points of {len(keypoints)}"
        )
