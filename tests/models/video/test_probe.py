from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.video.container import MediaLimits
from models.video.errors import MediaError
from models.video.orientation import Orientation
from models.video.probe import display_size, frame_rate, probe
from models.video.timeline import Timeline

LIMITS = MediaLimits()


def test_properties_of_a_plain_file(cases):
    info = probe(str(cases["with_audio"].path), LIMITS)
    assert (info.codec, info.pixel_format, info.width_px, info.height_px) == ("h264", "yuv420p", 96, 64)
    assert (info.num_frames, info.fps, info.variable_frame_rate, info.rotation_degrees) == (36, 25.0, False, 0)
    assert info.has_audio
    assert info.start_seconds == 0
    assert info.duration_seconds == pytest.approx(36 / 25)
    assert not probe(str(cases["plain"].path), LIMITS).has_audio


@pytest.mark.parametrize("name", ["mkv", "mpegts", "flv", "avi_b_frames", "vp9", "fragmented", "negative_timestamps"])
def test_rate_and_frame_count_of_every_container(cases, name):
    info = probe(str(cases[name].path), LIMITS)
    assert (info.num_frames, info.fps, info.variable_frame_rate) == (36, 25.0, False)
    assert info.duration_seconds == pytest.approx(1.44, abs=0.002)


def test_times_are_the_files_timestamps(cases):
    info = probe(str(cases["late_start"].path), LIMITS)
    assert info.start_seconds == 9.0
    assert info.duration_seconds == pytest.approx(1.44, abs=0.002)


def test_variable_frame_rate_gives_the_median(cases):
    info = probe(str(cases["variable_frame_rate"].path), LIMITS)
    assert info.variable_frame_rate
    # Two of three intervals are 40 + 11 ms, the third 40 - 22 ms, and one is longer by a gap of 400 ms.
    assert info.fps == pytest.approx(1000 / 51, rel=1e-3)


def test_one_long_gap_does_not_change_the_rate():
    ticks = np.concatenate([np.arange(15) * 40, 60_000 + np.arange(15) * 40])
    fps, variable = frame_rate(ticks, timeline(ticks, Fraction(1, 1000)), (Fraction(25), None))
    assert (fps, variable) == (25.0, True)


@pytest.mark.parametrize(
    ("name", "size", "turn"), [("90", (64, 96), 270), ("180", (96, 64), 180), ("270", (64, 96), 90)]
)
def test_size_is_after_rotation(cases, name, size, turn):
    info = probe(str(cases[f"rotated_{name}"].path), LIMITS)
    assert (info.width_px, info.height_px) == size
    assert info.rotation_degrees == turn


def test_wide_pixels_widen_the_display(media, tmp_path):
    path = tmp_path / "wide.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        output.mux(stream.encode(av.VideoFrame.from_ndarray(media.numbered_frame(0), format="rgb24")))
        output.mux(stream.encode())
    info = probe(str(path), LIMITS)
    assert (info.width_px, info.height_px) == (128, 64)


@given(width=st.integers(1, 5000), height=st.integers(1, 5000), swaps=st.booleans(), flips=st.booleans())
def test_display_size_swaps_sides_on_quarter_turns(width, height, swaps, flips):
    orientation = Orientation(swaps_axes=swaps, flips_x=flips)
    assert display_size(width, height, Fraction(1), orientation) == ((height, width) if swaps else (width, height))


def timeline(ticks: np.ndarray, time_base: Fraction) -> Timeline:
    ones = np.ones(len(ticks), dtype=bool)
    return Timeline(
        ticks=ticks,
        is_key=ones,
        is_shown=ones,
        is_corrupt=~ones,
        has_pts=True,
        time_base=time_base,
        end_ticks=int(ticks[-1]) + 1,
        num_skipped=0,
        complete=True,
    )


@given(
    rate=st.sampled_from([Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(60)]),
    time_base=st.sampled_from([Fraction(1, 1000), Fraction(1, 90000), Fraction(1, 15360)]),
    num_frames=st.integers(2, 3000),
    first=st.integers(0, 10**6),
)
def test_constant_rates_are_detected_despite_rounded_timestamps(rate, time_base, num_frames, first):
    ticks = np.array([round(first + n / (rate * time_base)) for n in range(num_frames)])
    fps, variable = frame_rate(ticks, timeline(ticks, time_base), (rate, None))
    assert not variable
    assert fps == float(rate)


def test_a_wrong_stated_rate_is_ignored():
    ticks = np.arange(100) * 40
    fps, variable = frame_rate(ticks, timeline(ticks, Fraction(1, 1000)), (Fraction(30), Fraction(90000)))
    assert (fps, variable) == (25.0, False)


def test_one_late_frame_makes_the_rate_variable():
    ticks = np.arange(100) * 40
    ticks[50] += 3
    assert frame_rate(ticks, timeline(ticks, Fraction(1, 1000)), (Fraction(25),))[1]


def test_limits_on_frames_and_duration(cases):
    path = str(cases["plain"].path)
    with pytest.raises(MediaError, match="more than the 35 frames allowed"):
        probe(path, MediaLimits(max_frames=35))
    with pytest.raises(MediaError, match="lasts 1 s, more than the 1 s allowed"):
        probe(path, MediaLimits(max_duration_seconds=1.4))


def test_a_truncated_file_is_reported_with_its_length(cases):
    with pytest.raises(MediaError, match=r"its index names 36 frames, 3\d are there"):
        probe(str(cases["last_kilobyte_lost"].path), LIMITS)


@pytest.mark.parametrize(
    ("name", "size", "num_frames", "fps"),
    [("xdyna_1", (512, 896), 571, 8), ("animatex_dance1", (768, 1216), 32, 8), ("wan_animate", (1920, 1080), 106, 30)],
)
def test_real_videos(driving, name, size, num_frames, fps):
    info = probe(str(driving / f"{name}.mp4"), LIMITS)
    assert (info.width_px, info.height_px) == size
    assert (info.num_frames, info.fps, info.variable_frame_rate) == (num_frames, fps, False)
