import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.ingest.cut import CutConfig, CutStage
from stages.outcome import Reason, Rejected


def video(fps: float, duration: float, shots: list[float] | None = None, start: float = 0.0) -> dict[str, object]:
    return {
        "fps": fps,
        "num_frames": int(fps * duration),
        "start_seconds": start,
        "duration_seconds": duration,
        "shot_starts_seconds": shots or [start],
    }


def test_windows_fill_a_shot_and_keep_a_long_enough_rest() -> None:
    stage = CutStage(CutConfig(num_frames=10, min_frames=4, target_fps=12))
    windows = stage.process(video(fps=24.0, duration=2.0))["windows"]
    assert [(w["num_frames"], w["frame_step"]) for w in windows] == [(10, 2), (10, 2), (4, 2)]
    assert [w["start_seconds"] for w in windows] == pytest.approx([0, 20 / 24, 40 / 24])


def test_a_video_slower_than_the_target_keeps_every_frame() -> None:
    stage = CutStage(CutConfig(num_frames=8, min_frames=8, target_fps=30))
    assert stage.process(video(fps=10.0, duration=0.8))["windows"][0]["frame_step"] == 1


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
        assert last + window["frame_step"] * frame <= bounds[shot + 1] + 2e-3 * window["frame_step"] * frame


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="min_frames <= num_frames"):
        CutConfig(num_frames=4, min_frames=8)
    with pytest.raises(ValueError, match="target_fps > 0"):
        CutConfig(target_fps=float("nan"))
