"""Conditions of Animate Anyone 2: of a batch of clips, and of windows of frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipConditions:
    """Encoded inputs of B clips of F frames.

    `image_tokens_BLD`: image embeddings as context tokens. `reference_latents_BCHW`: VAE latents of the references.
    `poses_BFHWC`, `depth_BFHW`: uint8 skeleton drawings and structured depth, which convolutions read a few frames at a
      time.
    `environment_BCFHW`: latents of the frames without their character. `environment_mask_B1FHW`: share of each latent's
      pixels that are missing in the environment, 0–1.
    `objects_BCFHW`: latents of the objects, 0 in frames without any. `object_mask_B1FHW`: 1 where a latent has a pixel
      of an object, else 0.
    """

    image_tokens_BLD: Tensor
    reference_latents_BCHW: Tensor
    poses_BFHWC: NDArray[np.uint8]
    depth_BFHW: NDArray[np.uint8]
    environment_BCFHW: Tensor
    environment_mask_B1FHW: Tensor
    objects_BCFHW: Tensor
    object_mask_B1FHW: Tensor

    def rows(self, index: Sequence[int]) -> Self:
        """Some of the clips."""
        rows = list(index)
        arrays: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        selected: dict[str, Any] = {
            name: array[rows] for name, array in arrays.items() if isinstance(array, Tensor | np.ndarray)
        }
        return replace(self, **selected)

    def with_known_frames(self, frames: Sequence[int], latents_CFHW: Tensor) -> Self:
        """The only clip, with some frames given whole: their latents are the environment, and nothing is missing."""
        index = list(frames)
        environment, mask = self.environment_BCFHW.clone(), self.environment_mask_B1FHW.clone()
        environment[0, :, index] = latents_CFHW.to(environment)
        mask[0, :, index] = 0
        return replace(self, environment_BCFHW=environment, environment_mask_B1FHW=mask)


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowConditions:
    """Inputs of the denoiser for B windows of F frames that depend on no step.

    `pose_BCFHW`: features added to the output of `conv_in`. `concat_BCFHW`: channels beside the noise latents.
    `objects`, `presence`: see `ObjectFeatures`, as (B, …, F, h, w); empty without blending.
    `conditional`: whether each window has the reference; the others are the unconditional half of guidance.
    """

    pose_BCFHW: Tensor
    concat_BCFHW: Tensor
    objects: tuple[Tensor, ...] = ()
    presence: tuple[Tensor, ...] = ()
    conditional: tuple[bool, ...]

    @property
    def num_bytes(self) -> int:
        """Memory of the tensors."""
        return sum(tensor.nbytes for tensor in (self.pose_BCFHW, self.concat_BCFHW, *self.objects, *self.presence))

    def rows(self, index: Sequence[int]) -> WindowConditions:
        """Some of the windows."""
        rows = list(index)
        return WindowConditions(
            pose_BCFHW=self.pose_BCFHW[rows],
            concat_BCFHW=self.concat_BCFHW[rows],
            objects=tuple(level[rows] for level in self.objects),
            presence=tuple(level[rows] for level in self.presence),
            conditional=tuple(self.conditional[row] for row in rows),
        )

    @classmethod
    def stack(cls, windows: Sequence[WindowConditions]) -> WindowConditions:
        """Windows of several batches as one."""
        return cls(
            pose_BCFHW=torch.cat([window.pose_BCFHW for window in windows]),
            concat_BCFHW=torch.cat([window.concat_BCFHW for window in windows]),
            objects=tuple(torch.cat(levels) for levels in zip(*(window.objects for window in windows), strict=True)),
            presence=tuple(torch.cat(levels) for levels in zip(*(window.presence for window in windows), strict=True)),
            conditional=tuple(row for window in windows for row in window.conditional),
        )
