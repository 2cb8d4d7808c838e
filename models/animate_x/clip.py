"""A clip to make: everything that depends on no step, made once, and the denoiser with it inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.animate_x.config import AnimateXConfig, NoisePrior
from models.animate_x.network import AnimateX, Conditions, Denoiser
from models.common.unet.transformer import BlockConditions
from models.sampling.denoise import Windows
from models.sampling.schedule import NoiseSchedule

FRAMES_AT_ONCE = 8
"""Drawings that the skeleton's convolutions see together: they work at the full resolution."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipInputs:
    """A request as the networks take it, on their device and in their dtype.

    `image_embeds_1E`: of the reference. `text_tokens_1LD`: of the empty text. `reference_13HW`: the picture, 0–1.
    `reference_latents_1CHW`. `reference_pose_13HW`: its skeleton's drawing, 0–1.
    `poses`: drawings (n, 3, H, W), 0–1, of the frames from one number up to another. `num_frames`: how many there are.
    `keypoints_FK`, `features_FE`: what the pose indicator reads, (num_frames + 1, …), the reference's first; None
      without an indicator.
    `warped_CFHW`: latents of the reference moved limb by limb into each pose; None where the network sees none.
    """

    image_embeds_1E: Tensor  # noqa: N815
    text_tokens_1LD: Tensor  # noqa: N815
    reference_13HW: Tensor  # noqa: N815
    reference_latents_1CHW: Tensor  # noqa: N815
    reference_pose_13HW: Tensor  # noqa: N815
    poses: Callable[[int, int], Tensor]
    num_frames: int
    keypoints_FK: Tensor | None = None  # noqa: N815
    features_FE: Tensor | None = None  # noqa: N815
    warped_CFHW: Tensor | None = None  # noqa: N815


class ClipDenoiser:
    """See `models.sampling.denoise.Denoiser`.

    A window's frames look at one another in the layers that make its conditions, so these are made for each window
    once. Keys and values of motion tokens are made in every call: four tokens to a frame are nothing beside the rest.
    """

    def __init__(self, network: AnimateX, inputs: ClipInputs, denoiser: Callable[..., Tensor] | None = None) -> None:
        """`denoiser`: the network's own, or what it was compiled to."""
        self.network, self.inputs = network, inputs
        self.denoiser = network.denoiser if denoiser is None else denoiser
        text = inputs.text_tokens_1LD
        both = torch.cat([network.context(None, text), network.context(inputs.image_embeds_1E, text)])
        self._blocks = network.denoiser.conditions(both)
        self._picture: Tensor | None = None
        self._first: Tensor | None = None
        if network.config.reference != "first_frame":
            self._picture = network.picture_features(inputs.reference_13HW)[0]
        if network.config.reference != "picture":
            self._first = network.first_frame(inputs.reference_latents_1CHW, inputs.reference_pose_13HW)[0]
        starts = range(0, inputs.num_frames, FRAMES_AT_ONCE)
        self._frames_FCHW = torch.cat(
            [
                network.skeleton.of_frames(inputs.poses(start, min(start + FRAMES_AT_ONCE, inputs.num_frames)))
                for start in starts
            ]
        )
        self._beside: dict[tuple[int, ...], Tensor] = {}
        self._motion: dict[tuple[int, ...] | int, Tensor] = {}

    def __call__(self, latents_BCFHW: Tensor, t: int, windows: Windows, conditional: Sequence[bool]) -> Tensor:
        """The prediction for each row."""
        x = latents_BCFHW.to(self._frames_FCHW.dtype)
        rows = list(zip(windows, conditional, strict=True))
        beside = torch.stack([self._beside_of(tuple(window), seen) for window, seen in rows])
        conditions = Conditions(
            blocks=_rows(self._blocks, [int(seen) for _, seen in rows]),
            pose_blocks=self._pose_blocks(rows),
            first_BCHW=torch.stack([self._first_of(seen) for _, seen in rows]),
            beside_BCFHW=beside,
        )
        t_B = torch.full((len(rows),), t, device=x.device)
        return self.denoiser(x, t_B, conditions).to(latents_BCFHW.dtype)

    def _beside_of(self, window: tuple[int, ...], seen: bool) -> Tensor:
        if window not in self._beside:
            features = self.network.pose_features(self._frames_FCHW[list(window)][None])[0]
            if self._picture is not None:
                features = features + self._picture
            limb_warp, warped = self.network.limb_warp, self.inputs.warped_CFHW
            if limb_warp is not None and warped is not None:
                features = features + limb_warp(warped[:, list(window)][None])[0]
            self._beside[window] = features
        return self._beside[window] if seen else torch.zeros_like(self._beside[window])

    def _first_of(self, seen: bool) -> Tensor:
        if self._first is None or not seen:
            unet = self.network.config.unet
            channels = unet.in_channels + self.network.config.beside_channels
            return self._frames_FCHW.new_zeros(channels, *self._frames_FCHW.shape[2:])
        return self._first

    def _pose_blocks(self, rows: Sequence[tuple[Sequence[int], bool]]) -> Sequence[BlockConditions] | None:
        if self.network.indicator is None:
            return None
        tokens = torch.cat(
            [self._motion_of(tuple(window)) if seen else self._plain(len(window)) for window, seen in rows]
        )
        denoiser: Denoiser = self.network.denoiser
        return denoiser.pose_conditions(tokens)

    def _motion_of(self, window: tuple[int, ...]) -> Tensor:
        if window not in self._motion:
            keypoints, features = self.inputs.keypoints_FK, self.inputs.features_FE
            if keypoints is None or features is None:
                raise ValueError("the pose indicator reads key points and embeddings of the frames, got none")
            frames = [0, *(frame + 1 for frame in window)]
            tokens = self.network.motion_tokens(keypoints[frames][None], features[frames][None])
            assert tokens is not None
            self._motion[window] = tokens[0]
        return self._motion[window]

    def _plain(self, num_frames: int) -> Tensor:
        if num_frames not in self._motion:
            tokens = self.network.plain_motion_tokens(num_frames + 1)
            assert tokens is not None
            self._motion[num_frames] = tokens[0]
        return self._motion[num_frames]


def first_latents(
    noise_CFHW: Tensor,
    offset_CF11: Tensor,
    reference_latents_CHW: Tensor,
    config: AnimateXConfig,
    *,
    num_windows: int,
) -> Tensor:
    """(C, F, H, W): where sampling begins. `offset_CF11`: noise that is one number per channel and frame."""
    x = noise_CFHW
    prior: NoisePrior | None = config.noise_prior
    if prior is not None:
        t = prior.one_window if num_windows == 1 else prior.windows
        x = NoiseSchedule(config.schedule).add_noise(reference_latents_CHW[:, None].expand_as(x), x, t)
    return x + config.offset_noise * offset_CF11


def _rows(blocks: Sequence[BlockConditions], rows: Sequence[int]) -> list[BlockConditions]:
    found = []
    for block in blocks:
        assert isinstance(block.context, tuple)
        keys, values = block.context
        found.append(BlockConditions(context=(keys[list(rows)], values[list(rows)])))
    return found
