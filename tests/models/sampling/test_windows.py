import json
from itertools import pairwise

import pytest
import torch
from golden import GOLDEN
from hypothesis import given
from hypothesis import strategies as st

from models.sampling.config import WindowConfig
from models.sampling.windows import blend_weights, padded_num_frames, window_borders, windows


@st.composite
def configs(draw: st.DrawFn) -> WindowConfig:
    size = draw(st.integers(1, 40))
    layout = draw(st.sampled_from(["closed_loop", "open_loop", "last_shifted"]))
    return WindowConfig(
        size=size,
        overlap=draw(st.integers(0, size - 1)),
        layout=layout,
        stride=1 if layout == "last_shifted" else draw(st.integers(1, 3)),
        blend=draw(st.sampled_from(["uniform", "triangular"])),
    )


def test_published_windows() -> None:
    case = json.loads((GOLDEN / "windows" / "case.json").read_text())
    for row in case["uniform"] + case["uniform_offset"]:
        config = WindowConfig(
            size=row["context_size"],
            overlap=row["context_overlap"],
            stride=row["context_stride"],
            layout="closed_loop" if row["closed_loop"] else "open_loop",
        )
        assert (
            windows(row["num_frames"], config, step=row.get("step", 0), offset=row.get("offset", 0)) == row["windows"]
        )
    for row in case["open_loop_last_fixed"]:
        config = WindowConfig(size=row["context_size"], overlap=row["context_overlap"], layout="last_shifted")
        assert windows(row["num_frames"], config) == row["windows"]
    for row in case["padded_clip"]:
        padded = padded_num_frames(row["num_frames"], size=row["slice"], overlap=row["overlap"])
        assert padded == row["padded"] == row["num_frames"] + row["repeat_last"]
        config = WindowConfig(size=row["slice"], overlap=row["overlap"], layout="open_loop")
        assert windows(padded, config) == row["windows"]


@given(configs(), st.integers(1, 150), st.integers(0, 50), st.integers(0, 200))
def test_windows_cover_every_frame_and_weights_sum_to_one(
    config: WindowConfig, num_frames: int, step: int, offset: int
) -> None:
    windows_of_clip = windows(num_frames, config, step=step, offset=offset)
    assert {len(window) for window in windows_of_clip} == {min(config.size, num_frames)}
    assert {frame for window in windows_of_clip for frame in window} == set(range(num_frames))
    totals = torch.zeros(num_frames)
    for window, weights in zip(windows_of_clip, blend_weights(windows_of_clip, num_frames, config.blend), strict=True):
        assert (weights > 0).all()
        totals.index_add_(0, torch.tensor(window), weights)
    torch.testing.assert_close(totals, torch.ones(num_frames))


@given(st.integers(1, 30), st.integers(0, 29), st.integers(1, 200))
def test_the_default_layout_never_wraps_and_shares_at_least_the_overlap(
    size: int, overlap: int, num_frames: int
) -> None:
    config = WindowConfig(size=size, overlap=min(overlap, size - 1))
    windows_of_clip = windows(num_frames, config)
    assert all(window == list(range(window[0], window[0] + len(window))) for window in windows_of_clip)
    for before, after in pairwise(windows_of_clip):
        assert len(set(before) & set(after)) >= config.overlap


@given(st.integers(1, 30), st.integers(0, 29), st.integers(1, 200))
def test_a_padded_clip_is_the_shortest_that_open_loop_windows_cover(size: int, overlap: int, num_frames: int) -> None:
    overlap = min(overlap, size - 1)
    padded = padded_num_frames(num_frames, size=size, overlap=overlap)
    assert 0 <= padded - num_frames < size - overlap
    config = WindowConfig(size=size, overlap=overlap, layout="open_loop")
    assert all(window[-1] - window[0] == len(window) - 1 for window in windows(padded, config))


def test_triangular_weights_fade_to_the_ends_of_a_window() -> None:
    windows_of_clip = windows(10, WindowConfig(size=6, overlap=2))
    assert windows_of_clip == [[0, 1, 2, 3, 4, 5], [4, 5, 6, 7, 8, 9]]
    first, second = blend_weights(windows_of_clip, 10, "triangular")
    torch.testing.assert_close(first, torch.tensor([1, 1, 1, 1, 2 / 3, 1 / 3]))
    torch.testing.assert_close(second, torch.tensor([1 / 3, 2 / 3, 1, 1, 1, 1]))
    assert blend_weights(windows_of_clip, 10, "uniform")[0].tolist() == [1, 1, 1, 1, 0.5, 0.5]


def test_refuses_invalid_window_settings() -> None:
    with pytest.raises(ValueError, match="overlap must be from 0 to size - 1, got 8 with size 8"):
        WindowConfig(size=8, overlap=8)
    with pytest.raises(ValueError, match="stride"):
        WindowConfig(size=8, overlap=2, stride=2)
    with pytest.raises(ValueError, match="at least 1 frame"):
        windows(0, WindowConfig(size=8, overlap=2))
    with pytest.raises(ValueError, match=r"frames \[3\] are in none"):
        blend_weights([[0, 1, 2]], 4, "uniform")


@given(configs(), st.integers(1, 80))
def test_borders_separate_stretches_of_the_same_windows(config: WindowConfig, num_frames: int) -> None:
    covering = windows(num_frames, config)
    borders = window_borders([covering, covering], num_frames)
    holders = [[frame in window for window in covering] for frame in range(num_frames)]
    assert borders == tuple(frame for frame in range(1, num_frames) if holders[frame] != holders[frame - 1])
    # Padding at the end, which the video lacks, has no border.
    assert window_borders([covering], num_frames - 1) == tuple(border for border in borders if border < num_frames - 1)


def test_windows_that_move_and_single_windows_have_no_borders() -> None:
    config = WindowConfig(size=8, overlap=2, layout="last_shifted")
    assert window_borders([windows(14, config)], 14) == (6, 8)
    assert window_borders([windows(8, config)], 8) == ()
    loop = WindowConfig(size=8, overlap=2, layout="closed_loop")
    assert window_borders([windows(14, loop, offset=offset) for offset in (0, 3)], 14) == ()
