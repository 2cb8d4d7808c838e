from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from models.sampling.chain import chain, chain_borders, sample_chain
from models.sampling.config import ScheduleConfig, WindowConfig
from models.sampling.denoise import Windows, sample
from models.sampling.schedule import NoiseSchedule


@given(num_frames=st.integers(1, 200), size=st.integers(2, 24), data=st.data())
def test_clips_cover_every_frame_and_share_the_overlap(num_frames: int, size: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(1, size - 1))
    clips = chain(num_frames, WindowConfig(size=size, overlap=overlap))
    new = [frame for clip in clips for frame in clip.frames[clip.num_known :]]
    assert new == list(range(num_frames))
    assert all(len(clip.frames) <= size for clip in clips)
    assert [clip.num_known for clip in clips] == [0] + [overlap] * (len(clips) - 1)
    for before, clip in pairwise(clips):
        assert list(clip.frames[: clip.num_known]) == list(before.frames[-overlap:])


@pytest.mark.parametrize(("num_frames", "overlap"), [(0, 1), (5, 0)])
def test_no_frame_or_no_common_frame_is_refused(num_frames: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="overlap of 1, got"):
        chain(num_frames, WindowConfig(size=4, overlap=overlap))


def test_each_clip_gets_the_frames_before_it_and_keeps_them() -> None:
    given_frames: list[tuple[list[int], Tensor]] = []
    windows_seen: list[list[int]] = []
    steps: list[tuple[int, int]] = []

    def denoiser(known: Sequence[int], latents_CFHW: Tensor) -> object:
        given_frames.append((list(known), latents_CFHW.clone()))

        def denoise(x: Tensor, t: int, windows: Windows, conditional: Sequence[bool]) -> Tensor:
            windows_seen.extend(list(window) for window in windows)
            return 0.5 * x

        return denoise

    schedule = NoiseSchedule(ScheduleConfig())
    sampled = sample_chain(
        partial(sample, schedule=schedule, num_steps=2, guidance_scale=1.0),
        denoiser,  # type: ignore[arg-type]
        torch.randn((3, 9, 2, 2), generator=torch.Generator().manual_seed(0)),
        chain(9, WindowConfig(size=4, overlap=1)),
        on_step=lambda done, total: steps.append((done, total)),
    )
    assert [known for known, _ in given_frames] == [[], [3], [6]]
    assert torch.equal(given_frames[1][1][:, 0], sampled[:, 3])
    assert torch.equal(given_frames[2][1][:, 0], sampled[:, 6])
    assert windows_seen == [[0, 1, 2, 3]] * 2 + [[3, 4, 5, 6]] * 2 + [[6, 7, 8]] * 2
    assert steps == [(step, 6) for step in range(1, 7)]


def test_borders_are_the_first_frames_that_a_clip_adds() -> None:
    clips = chain(9, WindowConfig(size=4, overlap=1))
    assert chain_borders(clips, 9) == (4, 7)
    assert chain_borders(clips, 7) == (4,)
    assert chain_borders(clips[:1], 4) == ()
