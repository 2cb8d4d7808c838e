from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from models.common import window_denoiser
from models.common.window_denoiser import WindowDenoiser


@dataclass(frozen=True, slots=True)
class Frames:
    frames: tuple[tuple[int, ...], ...]
    num_bytes: int = 100

    @classmethod
    def stack(cls, windows: Sequence[Frames]) -> Frames:
        return cls(tuple(frames for window in windows for frames in window.frames))


@pytest.mark.parametrize(("kept_bytes", "num_computed"), [(200, 2), (100, 3), (0, 4)])
def test_conditions_are_computed_once_while_they_fit(
    kept_bytes: int, num_computed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window_denoiser, "KEPT_BYTES", kept_bytes)
    computed: list[tuple[int, ...]] = []

    def conditions(window: tuple[int, ...], conditional: bool) -> Frames:
        computed.append(window)
        return Frames((window,) if conditional else ((),))

    def predict(x: Tensor, t_B: Tensor, windows: Frames) -> Tensor:
        assert t_B.tolist() == [5] * len(x)
        return torch.tensor([sum(frames) for frames in windows.frames]).to(x)[:, None] + x

    denoise = WindowDenoiser(conditions, predict, dtype=torch.bfloat16)
    for _ in range(2):
        predicted = denoise(torch.zeros(2, 1), 5, [[1, 2], [3, 4]], [True, False])
        assert predicted.tolist() == [[3.0], [0.0]]
        assert predicted.dtype == torch.float32
    assert len(computed) == num_computed
