from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from models.video.audio import SAMPLE_RATE_HZ, Samples, read_audio
from models.video.container import MediaLimits
from models.video.encode import check_h264, write_h264
from models.video.errors import MediaError
from models.video.sandbox import DecoderProcess

LIMITS = MediaLimits()


def tones(seconds: float) -> Samples:
    """A tone that rises by 200 Hz every half second, so that a shift is heard."""
    time = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    hertz = 400 + 200 * np.floor(time / 0.5)
    wave = np.round(12_000 * np.sin(2 * np.pi * hertz * time)).astype(np.int16)
    return np.stack([wave, wave], axis=1)


def pitch_hertz(samples: Samples) -> float:
    spectrum = np.abs(np.fft.rfft(samples[:, 0] * np.hanning(len(samples))))
    return float(spectrum.argmax() * SAMPLE_RATE_HZ / len(samples))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of frames and tones that begin at 0.5 s."""
    path = tmp_path_factory.mktemp("audio") / "a.mp4"
    frames = [np.full((32, 48, 3), 20 * i, np.uint8) for i in range(12)]
    write_h264(path, frames, fps=4, audio=tones(3.0))
    return path


def test_audio_is_written_and_read_back_in_sync(video: Path) -> None:
    check_h264(video, num_frames=12, size_px=(32, 48), has_audio=True)
    with av.open(str(video)) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        assert float(container.duration / 1e6) == pytest.approx(3.0, abs=0.1)
    for start, hertz in ((0.05, 400), (1.05, 800), (2.55, 1400)):
        part = read_audio(str(video), start_seconds=start, duration_seconds=0.4, limits=LIMITS)
        assert part is not None
        assert part.shape == (round(0.4 * SAMPLE_RATE_HZ), 2)
        assert pitch_hertz(part) == pytest.approx(hertz, abs=5)


def test_beyond_the_end_there_is_silence(video: Path) -> None:
    part = read_audio(str(video), start_seconds=2.5, duration_seconds=2.0, limits=LIMITS)
    assert part is not None
    assert len(part) == 2 * SAMPLE_RATE_HZ
    assert np.abs(part[: SAMPLE_RATE_HZ // 4]).max() > 5000
    assert not part[SAMPLE_RATE_HZ:].any()


def test_encoding_audio_is_deterministic(tmp_path: Path) -> None:
    frames = [np.full((32, 48, 3), 20 * i, np.uint8) for i in range(4)]
    contents = set()
    for _ in range(4):
        write_h264(tmp_path / "a.mp4", frames, fps=4, audio=tones(1.0))
        contents.add((tmp_path / "a.mp4").read_bytes())
    assert len(contents) == 1


def test_a_file_without_audio_gives_none(tmp_path: Path) -> None:
    write_h264(tmp_path / "a.mp4", [np.zeros((32, 48, 3), np.uint8)], fps=4)
    assert read_audio(str(tmp_path / "a.mp4"), start_seconds=0, duration_seconds=1, limits=LIMITS) is None


def test_the_decoder_process_gives_the_same_audio(video: Path) -> None:
    with DecoderProcess() as process:
        theirs = process.audio(str(video), start_seconds=0.5, duration_seconds=1.0)
    ours = read_audio(str(video), start_seconds=0.5, duration_seconds=1.0, limits=LIMITS)
    assert ours is not None
    assert theirs is not None
    np.testing.assert_array_equal(ours, theirs)


def test_audio_beyond_the_limit_is_refused(video: Path) -> None:
    with pytest.raises(MediaError, match="TooLarge"):
        read_audio(str(video), start_seconds=0, duration_seconds=1e6, limits=LIMITS)


def test_check_h264_detects_missing_frames_and_audio(video: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"has 12 frames of \[\(32, 48\)\], sound: True; expected 13"):
        check_h264(video, num_frames=13, size_px=(32, 48), has_audio=True)
    with pytest.raises(RuntimeError, match="sound: False"):
        check_h264(video, num_frames=12, size_px=(32, 48))
    (tmp_path / "cut.mp4").write_bytes(video.read_bytes()[:700])
    with pytest.raises(RuntimeError, match="expected 12"):
        check_h264(tmp_path / "cut.mp4", num_frames=12, size_px=(32, 48))
    (tmp_path / "page.mp4").write_bytes(b"<html>")
    with pytest.raises(RuntimeError, match="does not decode"):
        check_h264(tmp_path / "page.mp4", num_frames=12, size_px=(32, 48))
