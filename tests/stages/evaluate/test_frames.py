from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from compared_videos import FPS, moving_frames, worse, write_video

from pipelines.engine.schema import PAIR_COLUMNS
from stages.base import Row
from stages.evaluate.frames import ComparedFramesStage, FramesConfig
from stages.io.clip_reader import ClipReader
from stages.outcome import BadRow, Rejected


@pytest.fixture(scope="module")
def stage() -> Iterator[ComparedFramesStage]:
    made = ComparedFramesStage(FramesConfig())
    made.open()
    yield made
    made.close()


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    truth = moving_frames(1, num_frames=24)
    write_video(folder / "truth.mp4", truth)
    write_video(folder / "same.mp4", worse(truth))
    write_video(folder / "first.mp4", worse(truth[:6]))
    write_video(folder / "slow.mp4", worse(truth[8:20:2]), fps=FPS / 2)
    write_video(folder / "small.mp4", worse(truth[:, :16, :24]))
    write_video(folder / "one.mp4", truth[:1])
    return folder


def pair(folder: Path, animation: str, truth: str = "truth.mp4", **columns: Any) -> Row:
    uris = {"animation_uri": str(folder / animation), "truth_uri": str(folder / truth)}
    return {**dict.fromkeys(PAIR_COLUMNS), **uris, **columns}


def test_whole_files_are_compared_frame_by_frame(stage: ComparedFramesStage, videos: Path) -> None:
    done = stage(pair(videos, "same.mp4"))
    assert done["animation_frames"].shape == done["truth_frames"].shape == (24, 32, 48, 3)
    assert (done["num_frames"], done["fps"], done["size_rule"]) == (24, FPS, "unchanged")
    drawn = moving_frames(1, num_frames=25).astype(int)
    off, shifted = (np.abs(done["truth_frames"] - frames).mean() for frames in (drawn[:24], drawn[1:]))
    assert off < shifted / 2  # 4:2:0 blurs the colours at edges
    assert stage(pair(videos, "one.mp4", "one.mp4"))["num_frames"] == 1


def test_a_part_of_the_truth_is_sampled_at_the_rate_of_the_animation(stage: ComparedFramesStage, videos: Path) -> None:
    whole = stage(pair(videos, "same.mp4"))["truth_frames"]
    first = stage(pair(videos, "first.mp4", truth_num_frames=6))
    np.testing.assert_array_equal(first["truth_frames"], whole[:6])
    later = stage(pair(videos, "slow.mp4", truth_num_frames=6, truth_start_seconds=1.0))
    np.testing.assert_array_equal(later["truth_frames"], whole[8:20:2])
    again = stage(pair(videos, "slow.mp4", truth_timestamp_seconds=1.0))
    np.testing.assert_array_equal(again["truth_frames"], whole[8:20:2])


def test_starts_count_from_the_first_frame_and_timestamps_are_the_file_s(
    stage: ComparedFramesStage, videos: Path
) -> None:
    late = videos / "late.mkv"
    with av.open(str(videos / "truth.mp4")) as source, av.open(str(late), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                shift = round(5 / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                target.mux(packet)
    assert stage.reader.inspect(str(late))["start_seconds"] == pytest.approx(5.0, abs=0.01)
    whole = stage(pair(videos, "same.mp4"))["truth_frames"]
    for column, seconds in (("truth_start_seconds", 1.0), ("truth_timestamp_seconds", 6.0)):
        part = stage(pair(videos, "slow.mp4", "late.mkv", **{column: seconds}))
        np.testing.assert_array_equal(part["truth_frames"], whole[8:20:2])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "truth.mp4 has 24 frames, expected the 6 of "),
        ({"truth_num_frames": 7}, "slow.mp4 has 6 frames, expected the 7 of truth_num_frames"),
        (
            {"truth_start_seconds": 1.75},
            "truth.mp4 has 5 frames from 1.75 s on at 4 frames per second, expected the 6 of ",
        ),
        ({"truth_start_seconds": 100.0}, "has 0 frames from 100 s on"),
    ],
)
def test_another_number_of_frames_is_an_error(
    stage: ComparedFramesStage, videos: Path, columns: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadRow, match="FrameCount") as raised:
        stage(pair(videos, "slow.mp4", **columns))
    assert message in raised.value.message


def test_variable_frame_rates_are_compared_frame_by_frame(stage: ComparedFramesStage, videos: Path) -> None:
    uneven = videos / "uneven.mkv"
    with av.open(str(uneven), "w") as target:
        stream = target.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for index, image in enumerate(moving_frames(1, num_frames=24)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = index if index < 12 else 12 + 10 * (index - 12)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    for names in (("same.mp4", "uneven.mkv"), ("uneven.mkv", "same.mp4")):
        frames = stage(pair(videos, *names))[f"{'truth' if names[1] == 'uneven.mkv' else 'animation'}_frames"]
        pictures = moving_frames(1, num_frames=24).astype(int)
        nearest = [int(np.abs(pictures - frame).mean(axis=(1, 2, 3)).argmin()) for frame in frames]
        assert nearest == list(range(24))


def test_animations_are_resized_to_the_truth_or_both_to_a_size(stage: ComparedFramesStage, videos: Path) -> None:
    done = stage(pair(videos, "small.mp4"))
    assert done["animation_frames"].shape == (24, 32, 48, 3)
    assert done["size_rule"] == "animation resized from 24x16"
    assert (done["width_px"], done["height_px"], done["compared_width_px"]) == (24, 16, 48)
    fixed = ComparedFramesStage(FramesConfig(size_px=(9, 7)))
    fixed.open()
    done = fixed(pair(videos, "small.mp4"))
    fixed.close()
    assert done["animation_frames"].shape == done["truth_frames"].shape == (24, 9, 7, 3)
    assert done["size_rule"] == "both resized to 7x9"
    with pytest.raises(ValueError, match=r"got \(0, 5\)"):
        FramesConfig(size_px=(0, 5))


def test_what_cannot_be_compared_says_why(stage: ComparedFramesStage, videos: Path) -> None:
    with pytest.raises(Rejected, match="failed: Crash"):
        stage(pair(videos, "same.mp4", not_animated="failed: Crash"))
    with pytest.raises(BadRow, match=r"NotFound: .*absent.mp4 does not exist"):
        stage(pair(videos, "same.mp4", "absent.mp4"))
    with pytest.raises(BadRow, match="NotFound: the row names no truth"):
        stage(pair(videos, "same.mp4", truth_uri=None))
    (videos / "text.mp4").write_text("no video")
    (videos / "empty.mp4").write_bytes(b"")
    for name in ("text.mp4", "empty.mp4"):
        with pytest.raises(BadRow, match=name):
            stage(pair(videos, "same.mp4", name))
    for start in (-1.0, float("nan")):
        with pytest.raises(BadRow, match="InvalidRow: truth_start_seconds"):
            stage(pair(videos, "same.mp4", truth_start_seconds=start))
    with pytest.raises(BadRow, match="expected at most one of them"):
        stage(pair(videos, "same.mp4", truth_start_seconds=0.0, truth_timestamp_seconds=0.0))


def test_rows_of_one_truth_inspect_it_once(
    stage: ComparedFramesStage, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inspected: list[str] = []
    inspect = ClipReader.inspect
    monkeypatch.setattr(ClipReader, "inspect", lambda self, uri: inspected.append(uri) or inspect(self, uri))
    fresh = ComparedFramesStage(FramesConfig())
    fresh.open()
    fresh(pair(videos, "first.mp4", truth_num_frames=6))
    fresh(pair(videos, "same.mp4"))
    fresh.close()
    assert inspected.count(str(videos / "truth.mp4")) == 1
