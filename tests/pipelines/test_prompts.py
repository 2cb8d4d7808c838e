from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.prompts import PromptsConfig, assign_prompts
from stages.ingest.cut import CutConfig, CutStage
from stages.outcome import Rejected

FPS = 10.0
Video = dict[str, Any]


def video_of(shot_frames: list[int], gap_frames: list[int], cut: CutConfig) -> Video:
    """A video of shots of so many frames, with gaps without frames between them, cut into windows."""
    starts, ends, now = [], [], 0
    for frames, gap in zip(shot_frames, gap_frames, strict=True):
        starts.append((now + gap) / FPS)
        now += gap + frames
        ends.append(now / FPS)
    sizes = [64] * len(starts)
    video = {"fps": FPS, "duration_seconds": now / FPS, "shot_starts_seconds": starts, "shot_ends_seconds": ends}
    video |= {"shot_widths_px": sizes, "shot_heights_px": sizes}
    try:
        return video | CutStage(cut).process(video)
    except Rejected:
        return video | {"windows": []}


@st.composite
def videos(draw: st.DrawFn) -> Video:
    num_shots = draw(st.integers(1, 4))
    counts = st.lists(st.integers(1, 40), min_size=num_shots, max_size=num_shots)
    gaps = st.lists(st.sampled_from([0, 0, 15]), min_size=num_shots, max_size=num_shots)
    window = draw(st.integers(2, 12))
    stride = draw(st.sampled_from([None, window // 2, window + 3]))
    margin = draw(st.sampled_from([0.0, 0.3]))
    cut = CutConfig(num_frames=window, min_frames=2, stride_frames=stride, target_fps=10, shot_margin_seconds=margin)
    return video_of(draw(counts), draw(gaps), cut)


def prompts(max_size: int = 12) -> st.SearchStrategy[list[dict[str, Any]]]:
    each = st.tuples(st.sampled_from(["ball", "book", "cup"]), st.integers(-20, 1900))
    return st.lists(each, max_size=max_size, unique=True).map(
        lambda pairs: [{"object_id": name, "seconds": t / 10 / FPS} for name, t in sorted(pairs)]
    )


def span(video: Video, window: dict[str, Any]) -> tuple[float, float]:
    start = window["start_seconds"]
    return start, start + window["num_frames"] * window["frame_step"] / video["fps"]


def shot(video: Video, window: dict[str, Any]) -> tuple[float, float]:
    """The shot that overlaps the window most, found independently of how it is assigned."""
    start, end = span(video, window)
    shots = zip(video["shot_starts_seconds"], video["shot_ends_seconds"], strict=True)
    return max(shots, key=lambda each: min(each[1], end) - max(each[0], start))


@given(video=videos(), given_prompts=prompts())
def test_a_prompt_covers_every_clip_of_its_shot_and_none_of_another(
    video: Video, given_prompts: list[dict[str, Any]]
) -> None:
    assigned = assign_prompts(video, given_prompts, PromptsConfig(max_distance_seconds=1000))
    assert assigned.num_too_distant == 0
    covered = set()
    for window, objects, bounds in zip(video["windows"], assigned.by_clip, assigned.shots, strict=True):
        first, last = shot(video, window)
        assert bounds == (first, last)
        of_shot = [prompt for prompt in given_prompts if first <= prompt["seconds"] < last]
        covered |= {(prompt["object_id"], prompt["seconds"]) for prompt in of_shot}
        assert all(prompt in of_shot for prompt in objects)
        assert {prompt["object_id"] for prompt in objects} == {prompt["object_id"] for prompt in of_shot}
    assert assigned.num_used == len(covered)


@given(video=videos(), given_prompts=prompts())
def test_prompts_inside_a_clip_count_alone_and_else_the_nearest(
    video: Video, given_prompts: list[dict[str, Any]]
) -> None:
    assigned = assign_prompts(video, given_prompts, PromptsConfig(max_distance_seconds=1000))
    for window, objects in zip(video["windows"], assigned.by_clip, strict=True):
        start, end = span(video, window)
        inside = [prompt for prompt in given_prompts if start <= prompt["seconds"] < end]
        assert [prompt for prompt in objects if start <= prompt["seconds"] < end] == inside
        outside = [prompt for prompt in objects if prompt not in inside]
        assert not {prompt["object_id"] for prompt in outside} & {prompt["object_id"] for prompt in inside}
        assert len({prompt["object_id"] for prompt in outside}) == len(outside)
        if not outside:  # so that the clip's key stays that of versions that knew prompts inside clips only
            assert objects == inside
        first, last = shot(video, window)
        for prompt in outside:
            others = [p["seconds"] for p in given_prompts if p["object_id"] == prompt["object_id"]]
            away = [max(start - s, s - end) for s in others if first <= s < last]
            assert max(start - prompt["seconds"], prompt["seconds"] - end) == pytest.approx(min(away))


@given(video=videos(), given_prompts=prompts(), limit=st.floats(0, 3))
def test_a_prompt_beyond_the_limit_is_counted(video: Video, given_prompts: list[dict[str, Any]], limit: float) -> None:
    far = assign_prompts(video, given_prompts, PromptsConfig(max_distance_seconds=1000))
    near = assign_prompts(video, given_prompts, PromptsConfig(max_distance_seconds=limit))
    for window, objects, everything in zip(video["windows"], near.by_clip, far.by_clip, strict=True):
        start, end = span(video, window)
        assert objects == [p for p in everything if max(start - p["seconds"], p["seconds"] - end) <= limit]
    assert near.num_used == far.num_used
    assert near.num_too_distant == sum(map(len, far.by_clip)) - sum(map(len, near.by_clip))


def test_prompts_at_one_time_stay_together() -> None:
    video = video_of([40], [0], CutConfig(num_frames=10, min_frames=2, target_fps=10))
    box, points = ({"object_id": "ball", "seconds": 0.5, "box": each} for each in ([1, 2, 3, 4], None))
    later = {"object_id": "ball", "seconds": 1.5, "box": None}
    assigned = assign_prompts(video, [box, points, later], PromptsConfig())
    assert assigned.by_clip == [[box, points], [later], [later], [later]]
    assert assign_prompts(video, [box, points], PromptsConfig()).by_clip == [[box, points]] * 4


def test_without_shots_a_clip_is_its_own() -> None:
    windows = [{"start_seconds": float(start), "num_frames": 10, "frame_step": 1} for start in (0, 1)]
    prompt = {"object_id": "ball", "seconds": 0.5}
    for shots in ({}, {"shot_starts_seconds": None}, {"shot_starts_seconds": []}):
        assigned = assign_prompts({"fps": FPS, "windows": windows, **shots}, [prompt], PromptsConfig())
        assert assigned.by_clip == [[prompt], []]
        assert assigned.shots == [None, None]


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_the_limit_is_a_time(seconds: float) -> None:
    with pytest.raises(ValueError, match="max_distance_seconds"):
        PromptsConfig(max_distance_seconds=seconds)
