"""Long videos clip by clip: each begins with the last frames of the clip before (Animate Anyone 2, arXiv 2502.06145,
§4.1), in place of overlapping windows that are denoised together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from models.sampling.config import WindowConfig
from models.sampling.denoise import Denoiser, Windows

OnStep = Callable[[int, int], None]


class SampleClip(Protocol):
    """`models.sampling.denoise.sample` with its settings bound."""

    def __call__(
        self, denoise: Denoiser, latents_CFHW: Tensor, /, *, windows: Windows, on_step: OnStep | None
    ) -> Tensor:
        """Denoised latents of a clip."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainClip:
    """Frames of a clip: the first `num_known` of them are in the clip before."""

    frames: range
    num_known: int


def chain(num_frames: int, config: WindowConfig) -> list[ChainClip]:
    """Clips of `config.size` frames that share `config.overlap` frames with the clip before; the last may be shorter.

    Raises:
        ValueError: `num_frames` < 1, or clips that share no frame.
    """
    if num_frames < 1 or config.overlap < 1:
        raise ValueError(f"expected at least one frame and an overlap of 1, got {num_frames} and {config.overlap}")
    clips = [ChainClip(frames=range(min(config.size, num_frames)), num_known=0)]
    while (end := clips[-1].frames.stop) < num_frames:
        start = end - config.overlap
        clips.append(ChainClip(frames=range(start, min(start + config.size, num_frames)), num_known=config.overlap))
    return clips


def chain_borders(clips: Sequence[ChainClip], num_frames: int) -> tuple[int, ...]:
    """First frames that each clip after the first adds, where seams may show; those below `num_frames`."""
    starts = (clip.frames.start + clip.num_known for clip in clips[1:])
    return tuple(frame for frame in starts if frame < num_frames)


def sample_chain(
    sample: SampleClip,
    denoiser: Callable[[Sequence[int], Tensor], Denoiser],
    latents_CFHW: Tensor,
    clips: Sequence[ChainClip],
    *,
    on_step: OnStep | None = None,
) -> Tensor:
    """Denoise one clip after the other. Frames that two clips share are those of the first.

    Args:
        sample: denoises one clip.
        denoiser: of all frames, where some are given: their indices and latents (C, n, h, w).
        latents_CFHW: initial noise of all frames.
        clips: see `chain`.
        on_step: called with (completed steps, total steps) over all clips.

    Returns:
        Denoised latents (C, F, H, W).
    """
    denoised = latents_CFHW.clone()
    for index, clip in enumerate(clips):
        frames, known = list(clip.frames), list(clip.frames[: clip.num_known])
        sampled = sample(
            _OfClip(denoiser(known, denoised[:, known]), frames),
            latents_CFHW[:, frames],
            windows=[list(range(len(frames)))],
            on_step=_clip_steps(on_step, index, len(clips)),
        )
        denoised[:, frames[clip.num_known :]] = sampled[:, clip.num_known :]
    return denoised


class _OfClip:
    """A denoiser of all frames as one of some of them."""

    def __init__(self, denoise: Denoiser, frames: Sequence[int]) -> None:
        self._denoise, self._frames = denoise, frames

    def __call__(self, latents_BCFHW: Tensor, t: int, windows: Windows, conditional: Sequence[bool]) -> Tensor:
        return self._denoise(latents_BCFHW, t, [[self._frames[i] for i in window] for window in windows], conditional)


def _clip_steps(on_step: OnStep | None, index: int, num_clips: int) -> OnStep | None:
    if on_step is None:
        return None
    return lambda done, total: on_step(index * total + done, num_clips * total)
