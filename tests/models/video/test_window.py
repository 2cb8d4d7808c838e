from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.video.container import MediaLimits
from models.video.errors import MediaError
from models.video.window import ClipWindow, check_clip_bytes, working_size

sides = st.integers(1, 8192)


@given(width=sides, height=sides, short=st.integers(8, 1024), multiple=st.sampled_from([1, 2, 8, 16, 64]))
def test_working_size_keeps_the_aspect_and_never_enlarges(width, height, short, multiple):
    work = working_size(width, height, short_side_px=short, multiple=multiple)
    scale = min(1.0, short / min(width, height))
    for side, resized in zip((width, height), work, strict=True):
        assert resized % multiple == 0
        assert resized > 0
        assert abs(resized - max(side * scale, multiple)) <= multiple / 2 or resized == multiple


@pytest.mark.parametrize(
    ("size", "short", "expected"),
    [
        ((1080, 1920), 288, (288, 512)),
        ((1920, 1080), 256, (456, 256)),
        ((1080, 1920), 512, (512, 912)),
        ((64, 64), 256, (64, 64)),
        ((97, 65), 256, (96, 64)),
        ((1, 4000), 256, (8, 4000)),
    ],
)
def test_working_size_of_common_videos(size, short, expected):
    assert working_size(*size, short_side_px=short, multiple=8) == expected


def test_sample_times_of_a_window():
    window = ClipWindow(start_seconds=1.4, num_frames=4, frame_step=3, fps=30)
    np.testing.assert_allclose(window.sample_seconds(), [1.4, 1.5, 1.6, 1.7])


def test_tolerance_is_a_tick_unless_ticks_are_as_long_as_frames():
    window = ClipWindow(start_seconds=0, num_frames=1, frame_step=1, fps=25)
    assert window.tolerance_seconds(0.001) == 0.001
    assert window.tolerance_seconds(0.04) == 0.01


@pytest.mark.parametrize(
    "change",
    [{"num_frames": 0}, {"frame_step": 0}, {"fps": 0.0}, {"fps": float("nan")}, {"start_seconds": float("inf")}],
)
def test_invalid_windows_are_refused(change):
    with pytest.raises(ValueError, match=r"expected|at least"):
        ClipWindow(**{"start_seconds": 0.0, "num_frames": 8, "frame_step": 1, "fps": 25.0, **change})


def test_clip_bytes_are_bounded():
    window = ClipWindow(start_seconds=0, num_frames=10, frame_step=1, fps=25)
    check_clip_bytes(window, 20, 10, MediaLimits(max_clip_bytes=6000))
    with pytest.raises(MediaError, match="10 frames of 20 x 10 take 6000 bytes, 5999 are allowed"):
        check_clip_bytes(window, 20, 10, MediaLimits(max_clip_bytes=5999))
