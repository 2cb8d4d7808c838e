"""Context windows over a long clip: frame indices of each window, and blending of overlapping predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from models.sampling.config import Blend, WindowConfig


def windows(num_frames: int, config: WindowConfig, *, step: int = 0, offset: int = 0) -> list[list[int]]:
    """Frame indices of each window. The windows cover every frame and have one length.

    A clip no longer than `config.size` is a single window of its own length.

    `step`: index of the sampling step; loop layouts start at a different frame at each step (in bit-reversal order, as
    in AnimateDiff; the public character pipelines always pass 0). `offset` shifts every window of a loop layout by so
    many frames, wrapping around the end of the clip (X-Dyna draws one per step).

    Raises:
        ValueError: `num_frames` < 1.
    """
    if num_frames < 1:
        raise ValueError(f"a clip has at least 1 frame, got num_frames = {num_frames}")
    if num_frames <= config.size:
        return [list(range(num_frames))]
    if config.layout == "last_shifted":
        starts = range(0, num_frames - config.overlap, config.size - config.overlap)
        return [
            list(range(start, start + config.size))
            for start in (min(start, num_frames - config.size) for start in starts)
        ]
    return _loop_windows(num_frames, config, step=step, offset=offset)


def window_borders(covering: Sequence[Sequence[Sequence[int]]], num_frames: int) -> tuple[int, ...]:
    """First frames of the stretches that the same windows cover, without frame 0, where seams may show.

    Empty for a single window, and where windows move from step to step, so that no border stays in place.

    Args:
        covering: windows of each sampling step.
        num_frames: frames of the video; borders beyond it are left out.
    """
    if any(step != covering[0] for step in covering):
        return ()
    sets: list[set[int]] = [set() for _ in range(num_frames)]
    for index, window in enumerate(covering[0]):
        for frame in window:
            if frame < num_frames:
                sets[frame].add(index)
    return tuple(frame for frame in range(1, num_frames) if sets[frame] != sets[frame - 1])


def window_offsets(num_steps: int, config: WindowConfig, *, seed: int) -> list[int]:
    """`offset` of `windows` at each step: 0, or random numbers below `config.size`, which depend on the seed alone."""
    if not config.random_offset:
        return [0] * num_steps
    # A stream apart from the noise's, whatever the seeds of other requests.
    generator = torch.Generator().manual_seed(seed + 2**33)
    return [int(torch.randint(config.size, (), generator=generator)) for _ in range(num_steps)]


def padded_num_frames(num_frames: int, *, size: int, overlap: int) -> int:
    """Smallest number of frames ≥ `num_frames` that open-loop windows cover without wrapping.

    MusePose repeats the last pose up to this length and drops the extra frames afterwards.
    """
    if num_frames <= size:
        return num_frames
    hop = size - overlap
    return size + math.ceil((num_frames - size) / hop) * hop


def blend_weights(windows: Sequence[Sequence[int]], num_frames: int, blend: Blend) -> list[Tensor]:
    """Weights (len(window),) float32 of each window's predictions; they sum to 1 per frame over all windows.

    Raises:
        ValueError: a frame is in no window.
    """
    totals = torch.zeros(num_frames, dtype=torch.float64)
    raw = []
    for window in windows:
        place = torch.arange(len(window), dtype=torch.float64)
        weights = torch.ones_like(place) if blend == "uniform" else torch.minimum(place + 1, len(window) - place)
        totals.index_add_(0, torch.tensor(window), weights)
        raw.append(weights)
    if not bool((totals > 0).all()):
        missing = torch.nonzero(totals == 0).flatten().tolist()
        raise ValueError(f"windows must hold each of {num_frames} frames, but frames {missing[:10]} are in none")
    return [(weights / totals[torch.tensor(window)]).float() for weights, window in zip(raw, windows, strict=True)]


def _loop_windows(num_frames: int, config: WindowConfig, *, step: int, offset: int) -> list[list[int]]:
    start = _bit_reversed_fraction(step)
    shift = round(num_frames * start)
    end = num_frames + shift - (0 if config.layout == "closed_loop" else config.overlap)
    levels = min(config.stride, math.ceil(math.log2(num_frames / config.size)) + 1)
    return [
        [(index + offset) % num_frames for index in range(first, first + config.size * hop, hop)]
        for hop in (1 << level for level in range(levels))
        for first in range(int(start * hop) + shift, end, config.size * hop - config.overlap)
    ]


def _bit_reversed_fraction(value: int) -> float:
    """0, 1/2, 1/4, 3/4, 1/8, …: the van der Corput sequence in base 2."""
    fraction, place = 0.0, 0.5
    while value:
        fraction += place * (value & 1)
        value >>= 1
        place /= 2
    return fraction
