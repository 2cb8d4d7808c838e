import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.ingest.cut import CutConfig, CutStage
from stages.outcome import Reason, Rejected


def video(fps: float, duration: float, shots: list[float] | None = None, start: float = 0.0) -> dict[str, object]:
    starts = shots or [start]
    return {
        "fps": fps,
        "duration_seconds": duration,
        "shot_starts_seconds": starts,
        "shot_ends_seconds": [*starts[1:], start + duration],
        "shot_widths_px": [96] * len(starts),
        "shot_heights_px": [64] * len(starts),
    }


def test_windows_fill_a_shot_and_keep_a_long_enough_rest() -> None:
    stage = CutStage(CutConfig(num_frames=10, min_frames=4, target_fps=12))
    windows = stage.process(video(fps=24.0, duration=2.0))["windows"]
    assert [(w["num_frames"], w["frame_step"]) for w in windows] == [(10, 2), (10, 2), (4, 2)]
    assert [w["start_seconds"] for w in windows] == pytest.approx([0, 20 / 24, 40 / 24])


def test_a_video_slower_than_the_target_keeps_every_frame() -> None:
    stage = CutStage(CutConfig(num_frames=8, min_frames=8, target_fps=30))
    assert stage.process(video(fps=10.0, duration=0.8))["windows"][0]["frame_step"] == 1


@pytest.mark.parametrize("fps", [24.0, 25.0, 30000 / 1001, 30.0, 50.0, 60.0])
def test_rounded_timestamps_lose_no_frame(fps: float) -> None:
    """Matroska's ticks of 1 ms move both ends of a shot by up to half a tick."""
    for num_frames in range(6, 200):
        for start_ms in (0, 7, 33):
            duration = num_frames / fps
            ends = [round(start_ms + 1000 * duration + shift) / 1000 for shift in (-0.5, 0.0, 0.5)]
            exact = video(fps, duration)
            counts = []
            for row in (exact, *(video(fps, end - start_ms / 1000, None, start_ms / 1000) for end in ends)):
                config = CutConfig(num_frames=1000, min_frames=1, target_fps=12)
                counts.append(CutStage(config).process(row)["windows"][0]["num_frames"])
            assert len(set(counts)) == 1


@pytest.mark.parametrize(("fps", "rate"), [(24, 12), (25, 12.5), (30, 10), (50, 12.5), (60, 12), (12, 12), (10, 10)])
def test_a_rate_and_its_ntsc_version_are_sampled_alike(fps: float, rate: float) -> None:
    for factor in (1.0, 1000 / 1001):
        window = CutStage(CutConfig(min_frames=1)).process(video(fps * factor, 10.0))["windows"][0]
        assert fps / window["frame_step"] == rate


def test_the_time_between_shots_is_not_sampled() -> None:
    row = {**video(25.0, 10.0, [0.0, 8.0]), "shot_ends_seconds": [2.0, 10.0], "shot_widths_px": [96, 48]}
    windows = CutStage(CutConfig(num_frames=100, min_frames=1, target_fps=25)).process(row)["windows"]
    assert [(w["start_seconds"], w["num_frames"], w["width_px"]) for w in windows] == [(0.0, 50, 96), (8.0, 50, 48)]


def test_too_short_is_a_rejection() -> None:
    with pytest.raises(Rejected, match=r"no shot has 16 frames.*1 s in 1 shots") as caught:
        CutStage(CutConfig()).process(video(fps=12.0, duration=1.0))
    assert caught.value.reason == Reason.TOO_SHORT


@given(
    fps=st.sampled_from([10.0, 12.5, 23.976, 25.0, 29.97, 60.0]),
    shots=st.lists(st.floats(0.1, 5.0), min_size=1, max_size=4),
    start=st.floats(-2.0, 100.0),
    num_frames=st.integers(2, 40),
    stride=st.integers(1, 50),
    margin=st.sampled_from([0.0, 0.1]),
)
def test_every_window_lies_inside_one_shot(
    fps: float, shots: list[float], start: float, num_frames: int, stride: int, margin: float
) -> None:
    bounds = [start]
    for length in shots:
        bounds.append(bounds[-1] + length)
    config = CutConfig(
        num_frames=num_frames, min_frames=2, stride_frames=stride, target_fps=12, shot_margin_seconds=margin
    )
    try:
        windows = CutStage(config).process(video(fps, sum(shots), bounds[:-1], start))["windows"]
    except Rejected:
        return
    frame = 1 / fps
    for window in windows:
        first = window["start_seconds"]
        last = first + (window["num_frames"] - 1) * window["frame_step"] / fps
        shot = max(i for i, bound in enumerate(bounds[:-1]) if bound <= first + 1e-9)
        assert 2 <= window["num_frames"] <= num_frames
        assert bounds[shot] - 1e-9 <= first
        # The last sample is at least three quarters of a source frame before the end: its frame is of the shot.
        assert last + 0.75 * frame <= bounds[shot + 1] + 1e-9
        assert last + (window["frame_step"] - 0.25) * frame <= bounds[shot + 1] + 1e-9


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="min_frames <= num_frames"):
        CutConfig(num_frames=4, min_frames=8)
    with pytest.raises(ValueError, match="target_fps > 0"):
        CutConfig(target_fps=float("nan"))
