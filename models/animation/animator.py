"""Inference of every animation system: a picture and poses in, a video out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.animation.clip import ClipBatch
from models.animation.implementation import Implementation
from models.animation.signals import DRIVING_FRAMES, PER_CLIP_SIGNALS
from models.appearance.encoders import FrozenEncoders
from models.appearance.vae import LATENT_PX, to_images
from models.common.memory import MemoryPlan, channels_last, on_device, with_less_where_needed
from models.sampling.chain import chain, chain_borders, sample_chain
from models.sampling.config import WindowConfig
from models.sampling.denoise import sample
from models.sampling.noise import initial_noise
from models.sampling.schedule import NoiseSchedule
from models.sampling.windows import padded_num_frames, window_borders, window_offsets, windows

LongVideo = Literal["windows", "chain"]

OnStep = Callable[[int, int], None]
"""Called after each denoising step with the number of steps done and the total."""

GPU_WINDOW_BATCH = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class AnimationInputs:
    """One request, as pixels of the output size.

    `reference_HWC`: uint8 (H, W, 3) RGB, the character.
    `pose_THWC`: uint8 (T, H, W, 3), skeleton drawings in the model's preset, one per output frame.
    `seed`: of the noise, which is drawn on the CPU: the same for every device, batch and worker.
    `num_steps`, `guidance_scale`: None is the model's default.
    `signals`: name (see `models.animation.signals`) to array, at least those that the model needs.
    `long_video`: how a clip longer than a window is made: in overlapping "windows" that are denoised together, or as a
      "chain" of clips, each beginning with the last frames of the one before, where the system can.
    """

    reference_HWC: NDArray[np.uint8]
    pose_THWC: NDArray[np.uint8]
    seed: int
    num_steps: int | None = None
    guidance_scale: float | None = None
    signals: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    long_video: LongVideo = "windows"

    def clip(self, num_frames: int) -> ClipBatch:
        """A batch of one clip of `num_frames` frames: where that is more than T, the last frame is repeated."""
        missing = num_frames - len(self.pose_THWC)

        def extended(frames: NDArray[Any]) -> NDArray[Any]:
            return np.concatenate([frames, np.repeat(frames[-1:], missing, axis=0)]) if missing else frames

        signals = {
            name: (array if name in PER_CLIP_SIGNALS else extended(array))[None] for name, array in self.signals.items()
        }
        return ClipBatch(
            references_BHWC=self.reference_HWC[None], poses_BFHWC=extended(self.pose_THWC)[None], signals=signals
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Animation:
    """Result of a request.

    `frames_THWC`: uint8 (T, H, W, 3) RGB.
    `fallbacks`: measures taken for lack of memory, in order: `window_batch=2`, `vae_tiled`, `offloaded`; then
      `short_window=9` where the clip of 9 frames is shorter than the windows that the network was trained with.
    `window_borders`: frames at which sampling windows, or the clips of a chain, meet (`window_borders`).
    """

    frames_THWC: NDArray[np.uint8]
    fallbacks: tuple[str, ...] = ()
    window_borders: tuple[int, ...] = ()


class Animator:
    """A loaded model of an animation system.

    What depends on no denoising step is computed once per request; windows and the two halves of guidance share calls
    of the denoiser.

    Args:
        name: of the model, for messages.
        implementation: the system's networks.
        network: moved to `device` and `dtype` when it is used.
        encoders: VAE and image encoder.
        needs: signals that every request must bring.
        compile: compile the denoiser.
        window_batch: rows of the first call of the denoiser; None: `implementation.cpu_window_batch` on a CPU,
            `GPU_WINDOW_BATCH` elsewhere.
    """

    size_multiple = LATENT_PX

    def __init__(
        self,
        name: str,
        *,
        implementation: Implementation[Any, Any],
        network: nn.Module,
        encoders: FrozenEncoders,
        needs: frozenset[str] = frozenset(),
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        compile: bool = False,  # noqa: A002 (the option's name everywhere)
        window_batch: int | None = None,
    ) -> None:
        self.name, self.needs = name, needs
        self.implementation = implementation
        self.device, self.dtype = torch.device(device), dtype
        self.network = network.to(dtype=dtype).eval()
        channels_last(network)
        vae, image_encoder = encoders.vae.to(dtype=dtype).eval(), encoders.image_encoder.to(dtype=dtype).eval()
        self.encoders = replace(encoders, vae=vae, image_encoder=image_encoder)
        self.config = implementation.config(network)
        self.schedule = NoiseSchedule(self.config.schedule)
        if compile:
            implementation.compile(network)
        on_cpu = self.device.type == "cpu"
        self.plan = MemoryPlan(
            window_batch=window_batch or (implementation.cpu_window_batch if on_cpu else GPU_WINDOW_BATCH)
        )

    @torch.no_grad()
    def animate(self, inputs: AnimationInputs, *, on_step: OnStep | None = None) -> Animation:
        """The animation of a request; the same inputs give the same bits on the same kind of device.

        Raises:
            ValueError: a side that is no multiple of 8, pictures of different sizes, no frame, or a missing signal.
            torch.OutOfMemoryError: it does not fit even with the most economical memory plan.
        """
        self._check(inputs)
        made, fallbacks = with_less_where_needed(lambda plan: self._animate(inputs, plan, on_step), self.plan)
        num_frames = len(inputs.pose_THWC)
        if self.implementation.depends_on_window and num_frames < self.config.windows.size:
            fallbacks = (*fallbacks, f"short_window={num_frames}")
        return replace(made, fallbacks=fallbacks)

    def _animate(self, inputs: AnimationInputs, plan: MemoryPlan, on_step: OnStep | None) -> Animation:
        config, device, implementation = self.config, self.device, self.implementation
        vae, image_encoder = self.encoders.vae, self.encoders.image_encoder
        clip = inputs.clip(_num_frames(len(inputs.pose_THWC), config.windows))
        num_frames = clip.poses_BFHWC.shape[1]
        num_steps = inputs.num_steps or config.num_steps
        timesteps = self.schedule.timesteps(num_steps)
        offsets = window_offsets(len(timesteps), config.windows, seed=inputs.seed)
        covering = [windows(num_frames, config.windows, offset=offset) for offset in offsets]
        vae.tile(on=plan.vae_tiled)
        with on_device(vae, device, plan), on_device(image_encoder, device, plan):
            encoder = RequestEncoder(clip, self.encoders, device=device, dtype=self.dtype, batch=implementation.batch)
            conditions = implementation.conditions(clip, encoder, self.network)
            latents = encoder.reference_latents()
        noise = initial_noise(latents.shape[1], num_frames, *latents.shape[2:], seed=inputs.seed).to(device)
        noise = noise * implementation.noise_level(conditions).to(noise)
        first = implementation.first_latents(
            noise, latents[0].float(), config, num_windows=len(covering[0]), t=timesteps[0], seed=inputs.seed
        )
        sample_clip = partial(
            sample,
            schedule=self.schedule,
            num_steps=num_steps,
            guidance_scale=config.guidance_scale if inputs.guidance_scale is None else inputs.guidance_scale,
            blend=config.windows.blend,
            solver=implementation.solver,
            window_batch=plan.window_batch,
        )
        with on_device(self.network, device, plan):
            if inputs.long_video == "windows" or len(covering[0]) == 1:
                denoise = implementation.denoiser(self.network, conditions)
                sampled = sample_clip(denoise, first, windows=covering.__getitem__, on_step=on_step)
                borders = window_borders(covering, len(inputs.pose_THWC))
            else:
                clips = chain(num_frames, config.windows)
                borders = chain_borders(clips, len(inputs.pose_THWC))
                sampled = sample_chain(
                    sample_clip,
                    lambda known, latents: implementation.denoiser(
                        self.network, implementation.with_known_frames(conditions, known, latents)
                    ),
                    first,
                    clips,
                    on_step=on_step,
                )
        latents_TCHW = sampled[:, : len(inputs.pose_THWC)].transpose(0, 1).to(self.dtype)
        with on_device(vae, device, plan):
            frames = np.concatenate(list(implementation.decode(vae, latents_TCHW, conditions)))
        return Animation(frames_THWC=frames, window_borders=borders)

    def _check(self, inputs: AnimationInputs) -> None:
        height, width, _ = inputs.reference_HWC.shape
        poses, multiple = inputs.pose_THWC, self.size_multiple
        if height % multiple or width % multiple:
            raise ValueError(f"sides must be multiples of {multiple}, got {width} x {height}")
        if len(poses) == 0 or poses.shape[1:] != inputs.reference_HWC.shape:
            raise ValueError(f"skeleton drawings must be (T, {height}, {width}, 3) with T >= 1, got {poses.shape}")
        if missing := sorted(self.needs - inputs.signals.keys()):
            raise ValueError(f"{self.name} reads the signals {missing}, got {sorted(inputs.signals)}")
        for name in self.needs - PER_CLIP_SIGNALS:
            if len(inputs.signals[name]) != len(poses):
                raise ValueError(
                    f"{self.name}: {len(poses)} skeleton drawings go with as many {name}, got "
                    f"{len(inputs.signals[name])}"
                )


class RequestEncoder:
    """The encoders applied to one request (see `ClipEncoder`); a few pictures at a time.

    Args:
        batch: pictures of a call of an encoder.
    """

    def __init__(
        self, clip: ClipBatch, encoders: FrozenEncoders, *, device: torch.device, dtype: torch.dtype, batch: int
    ) -> None:
        self.device, self.dtype = device, dtype
        text = encoders.text_tokens_1LD
        self.text_tokens_1LD = None if text is None else text.to(device, dtype)
        self._clip, self._encoders, self._batch = clip, encoders, batch
        self._reference = self._images(clip.pictures_BHWC)
        self._reference_latents: Tensor | None = None

    def reference_latents(self) -> Tensor:
        """(1, C, h, w)."""
        if self._reference_latents is None:
            self._reference_latents = self._encoders.vae.encode(self._reference)
        return self._reference_latents

    def reference_embeds(self) -> Tensor:
        """(1, E)."""
        embeds: Tensor = self._encoders.image_encoder(self._reference)
        return embeds

    def image_tokens(self) -> Tensor:
        """(1, L, D)."""
        return self._encoders.image_encoder.tokens(self._reference)

    def blank_image_tokens(self) -> Tensor:
        """(1, L, D)."""
        return self._encoders.image_encoder.blank_tokens()

    def driving_embeds(self) -> Tensor:
        """(1, T, E)."""
        return self._batched(self._encoders.image_encoder, self._clip.signals[DRIVING_FRAMES][0])[None]

    def latents(self, pictures_NHWC: NDArray[np.uint8]) -> Tensor:
        """(N, C, h, w)."""
        return self._batched(self._encoders.vae.encode, pictures_NHWC)

    def _images(self, pictures_NHWC: NDArray[np.uint8]) -> Tensor:
        return to_images(pictures_NHWC).to(self.device, self.dtype)

    def _batched(self, encode: Callable[[Tensor], Tensor], pictures_NHWC: NDArray[np.uint8]) -> Tensor:
        starts = range(0, len(pictures_NHWC), self._batch)
        return torch.cat([encode(self._images(pictures_NHWC[start : start + self._batch])) for start in starts])


def _num_frames(num_frames: int, config: WindowConfig) -> int:
    """Frames to sample: open-loop windows must fit exactly (MusePose)."""
    if config.layout != "open_loop":
        return num_frames
    return padded_num_frames(num_frames, size=config.size, overlap=config.overlap)


def torch_dtype(name: str, device: str) -> torch.dtype:
    """The dtype of this name; "auto" is float32 on a CPU and bfloat16 elsewhere."""
    if name == "auto":
        name = "float32" if device == "cpu" else "bfloat16"
    dtype: torch.dtype = getattr(torch, name)
    return dtype
