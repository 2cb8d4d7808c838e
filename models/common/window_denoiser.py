"""A denoiser whose conditions of each window are computed once per request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor

from models.sampling.denoise import Windows


class WindowTensors(Protocol):
    """Conditions of a batch of windows that depend on no step."""

    @property
    def num_bytes(self) -> int:
        """Memory of the tensors."""
        ...

    @classmethod
    def stack(cls, windows: Sequence[Self], /) -> Self:
        """Windows of several batches as one."""
        ...


ConditionsT = TypeVar("ConditionsT", bound=WindowTensors)

KEPT_BYTES = 256 << 20
"""Conditions of windows are kept up to this size. Those of the windows beyond it are computed at every step, at a small
share of the denoiser's cost, so that memory does not grow with the clip."""


class WindowDenoiser(Generic[ConditionsT]):
    """See `models.sampling.denoise.Denoiser`.

    Args:
        conditions: of a window of frames, with or without the conditions that guidance leaves out.
        predict: latents (B, C, F, h, w) in `dtype`, timesteps (B) and the conditions of B windows to the prediction.
    """

    def __init__(
        self,
        conditions: Callable[[tuple[int, ...], bool], ConditionsT],
        predict: Callable[[Tensor, Tensor, ConditionsT], Tensor],
        *,
        dtype: torch.dtype,
    ) -> None:
        self._compute, self._predict, self._dtype = conditions, predict, dtype
        self._kept: dict[tuple[tuple[int, ...], bool], ConditionsT] = {}
        self._room_bytes = KEPT_BYTES

    def __call__(self, latents_BCFHW: Tensor, t: int, windows: Windows, conditional: Sequence[bool]) -> Tensor:
        """The prediction for each row."""
        rows = [self._conditions(tuple(window), row) for window, row in zip(windows, conditional, strict=True)]
        t_B = torch.full((len(rows),), t, device=latents_BCFHW.device)
        predicted = self._predict(latents_BCFHW.to(self._dtype), t_B, type(rows[0]).stack(rows))
        return predicted.to(latents_BCFHW.dtype)

    def _conditions(self, window: tuple[int, ...], conditional: bool) -> ConditionsT:
        key = (window, conditional)
        if key in self._kept:
            return self._kept[key]
        computed = self._compute(window, conditional)
        if computed.num_bytes <= self._room_bytes:
            self._kept[key] = computed
            self._room_bytes -= computed.num_bytes
        return computed
