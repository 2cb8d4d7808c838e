from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from puppet_media import FPS, NUM_FRAMES, SIZE_PX, write_driving
from toy_animation import face_model, scene_model, spec_of

from models.video.audio import SAMPLE_RATE_HZ
from models.video.encode import write_h264
from stages.animate.driving import DrivingConfig, DrivingStage
from stages.base import Row
from stages.io.clip_reader import DecodeConfig
from stages.outcome import BadRow


@pytest.fixture(scope="module")
def stage() -> Iterator[DrivingStage]:
    stage = DrivingStage(DrivingConfig())
    stage.open()
    yield stage
    stage.close()


def request(uri: Path, start: float | None = None, duration: float | None = None, clip: Row | None = None) -> Row:
    window = {"start_seconds": start, "duration_seconds": duration}
    size = {"width_px": None, "height_px": None}
    return {"driving_uri": str(uri), "clip": clip, "model_spec": spec_of(), **window, **size}


def with_config(config: DrivingConfig, row: Row) -> Row:
    stage = DrivingStage(config)
    stage.open()
    try:
        return stage(row)
    finally:
        stage.close()


def test_whole_video_keeps_its_timing(stage: DrivingStage, driving: Path) -> None:
    row = stage(request(driving))
    assert row["decoded_frames"].shape == (NUM_FRAMES, *SIZE_PX, 3)
    assert (len(row["decoded_seconds"]), row["fps"]) == (NUM_FRAMES, FPS)
    assert row["decoded_seconds"] == pytest.approx(np.arange(NUM_FRAMES) / FPS)
    assert (row["driving_width_px"], row["driving_height_px"]) == (SIZE_PX[1], SIZE_PX[0])
    assert row["driving_fingerprint"].startswith("sha256:")
    assert row["decoded_audio"] is None


def test_a_part_of_a_video(stage: DrivingStage, driving: Path) -> None:
    row = stage(request(driving, 0.25, 0.375))
    assert row["decoded_seconds"] == pytest.approx([2 / FPS, 3 / FPS, 4 / FPS])
    # A duration beyond the end is truncated; one shorter than a frame gives one frame.
    assert stage(request(driving, 0.5, 100.0))["decoded_part"]["num_frames"] == 2
    assert stage(request(driving, 0.0, 0.001))["decoded_part"]["num_frames"] == 1
    with pytest.raises(BadRow, match=r"InvalidRow: start_seconds is 9, but .* lasts 0.75 s"):
        stage(request(driving, 9.0))


def test_a_video_of_one_frame(stage: DrivingStage, tmp_path: Path) -> None:
    row = stage(request(write_driving(tmp_path / "one.mp4", num_frames=1)))
    assert row["decoded_frames"].shape == (1, *SIZE_PX, 3)
    assert row["fps"] > 0


UNEVEN_SECONDS = (0.0, 0.1, 0.13, 0.3, 0.4, 0.8, 0.9, 60.9, 61.0)


def write_uneven(path: Path) -> Path:
    frames = [np.full((32, 32, 3), 25 * i, np.uint8) for i in range(len(UNEVEN_SECONDS))]
    write_h264(path, frames, fps=10, timestamps_seconds=UNEVEN_SECONDS)
    return path


def test_uneven_times_give_every_frame_once_at_its_time(stage: DrivingStage, tmp_path: Path) -> None:
    row = stage(request(write_uneven(tmp_path / "a.mp4")))
    assert row["decoded_seconds"] == pytest.approx(UNEVEN_SECONDS, abs=1e-3)
    assert row["decoded_frames"][:, 0, 0, 0] == pytest.approx(25 * np.arange(len(UNEVEN_SECONDS)), abs=3)
    counts = (row["num_source_frames"], row["num_distinct_frames"], len(row["decoded_frames"]))
    assert counts == (len(UNEVEN_SECONDS),) * 3
    assert row["fps"] == pytest.approx(10.0, rel=1e-3)
    part = stage(request(tmp_path / "a.mp4", 0.2, 0.65))  # begins while the frame of 0.13 s is on display
    assert part["decoded_seconds"] == pytest.approx([0.13, 0.3, 0.4, 0.8], abs=1e-3)
    fewer = with_config(DrivingConfig(max_fps=5.0), request(tmp_path / "a.mp4"))
    assert fewer["decoded_seconds"] == pytest.approx(UNEVEN_SECONDS[::2], abs=1e-3)
    assert (fewer["num_source_frames"], fewer["num_distinct_frames"]) == (9, 5)


def test_even_times_account_for_their_frames(driving: Path) -> None:
    row = with_config(DrivingConfig(max_fps=4.0), request(driving))
    assert (row["num_source_frames"], row["num_distinct_frames"], len(row["decoded_frames"])) == (5, 3, 3)


def with_sound(folder: Path, codec: str) -> Path:
    """Driving video in QuickTime or Matroska with a tone of the codec."""
    path = folder / ("a.mov" if codec == "pcm_mulaw" else "a.mkv")
    with av.open(str(write_driving(folder / "silent.mp4"))) as source, av.open(str(path), "w") as output:
        video = source.streams.video[0]
        copy = output.add_stream_from_template(video)
        sound = output.add_stream(codec, rate=48_000, layout="stereo")
        tone = (10_000 * np.sin(np.arange(48_000) / 20)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.repeat(tone, 2).reshape(1, -1), "s16", "stereo")
        frame.sample_rate, frame.pts = 48_000, 0
        for packet in source.demux(video):
            if packet.size:
                packet.stream = copy
                output.mux(packet)
        resampler = av.AudioResampler(
            format=sound.codec_context.format, layout="stereo", rate=48_000, frame_size=sound.codec_context.frame_size
        )
        for part in resampler.resample(frame):
            output.mux(sound.encode(part))
        output.mux(sound.encode())
    return path


@pytest.mark.parametrize("codec", ["pcm_mulaw", "wavpack", "flac", "libopus"])
def test_sound_of_codecs_outside_mp4_is_read(tmp_path: Path, codec: str) -> None:
    row = with_config(DrivingConfig(keep_audio=True), request(with_sound(tmp_path, codec)))
    assert row["sound_fallback"] is None
    assert np.abs(row["decoded_audio"]).max() > 5000


def test_sound_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    """An audio codec that is not supported costs the sound and not the animation."""
    path = with_sound(tmp_path, "tta")
    row = with_config(DrivingConfig(keep_audio=True), request(path))
    assert (row["decoded_audio"], row["sound_fallback"]) == (None, "no_sound=UnsupportedCodec")


def test_prepared_clip_is_read_unchanged(stage: DrivingStage, driving: Path) -> None:
    clip = {
        "uri": str(driving),
        "fingerprint": "sha256:0",
        "size_bytes": driving.stat().st_size,
        "width_px": SIZE_PX[1],
        "height_px": SIZE_PX[0],
        "start_seconds": 1 / FPS,
        "num_frames": 2,
        "frame_step": 2,
        "fps": float(FPS),
    }
    row = stage(request(driving, clip=clip))
    assert row["decoded_seconds"] == pytest.approx([1 / FPS, 3 / FPS])
    assert row["fps"] == FPS / 2
    with pytest.raises(BadRow, match="SourceChanged"):
        stage(request(driving, clip={**clip, "size_bytes": 5}))


def test_max_fps_skips_frames_and_long_parts_fail(driving: Path) -> None:
    row = with_config(DrivingConfig(max_fps=4.0), request(driving))
    assert (len(row["decoded_frames"]), row["fps"]) == (NUM_FRAMES // 2, FPS / 2)
    with pytest.raises(BadRow, match=r"TooLarge: the driving part has 6 frames, 4 are allowed"):
        with_config(DrivingConfig(max_frames=4), request(driving))


def test_keep_audio_returns_the_sound_of_the_part(driving: Path, tmp_path: Path) -> None:
    config = DrivingConfig(keep_audio=True)
    row = with_config(config, request(driving, 0.25, 0.375))
    assert row["decoded_audio"].shape == (round(0.375 * SAMPLE_RATE_HZ), 2)
    assert np.abs(row["decoded_audio"]).max() > 5000
    silent = with_config(config, request(write_driving(tmp_path / "silent.mp4")))
    assert silent["decoded_audio"] is None


def test_a_model_that_keeps_the_scene_keeps_its_sound_and_gets_frames_of_its_own_size(driving: Path) -> None:
    row = {**request(driving), "model_spec": spec_of(scene_model()), "width_px": 80}
    small = DecodeConfig(short_side_px=32)
    kept = with_config(DrivingConfig(decode=small), row)
    assert kept["decoded_audio"] is not None
    assert kept["decoded_frames"].shape == (NUM_FRAMES, 104, 80, 3)
    assert (kept["decoded_part"]["width_px"], kept["decoded_part"]["height_px"]) == (SIZE_PX[1], SIZE_PX[0])
    assert with_config(DrivingConfig(decode=small, keep_audio=False), row)["decoded_audio"] is None
    assert with_config(DrivingConfig(decode=small), {**row, "width_px": None})["driving_width_px"] == 64


def test_a_model_that_reads_the_face_gets_frames_of_the_outputs_size(driving: Path) -> None:
    config = DrivingConfig(decode=DecodeConfig(short_side_px=32))
    row = {**request(driving), "model_spec": spec_of(face_model())}
    assert with_config(config, request(driving))["driving_width_px"] == 32
    made = with_config(config, row)
    assert (made["driving_width_px"], made["decoded_audio"]) == (64, None)
    assert with_config(config, {**row, "width_px": 40, "height_px": 72})["driving_width_px"] == 40


@pytest.mark.parametrize(("content", "reason"), [(None, "NotFound"), (b"<html>", "NotAVideo"), (b"", "NotAVideo")])
def test_files_that_are_no_video_fail(stage: DrivingStage, tmp_path: Path, content: Any, reason: str) -> None:
    if content is not None:
        (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(BadRow, match=reason):
        stage(request(tmp_path / "a.mp4"))
