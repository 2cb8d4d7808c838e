from __future__ import annotations

from pathlib import Path

import av.logging
import pytest

from models.video.container import MediaLimits, open_video
from models.video.errors import MediaError

LIMITS = MediaLimits()


def test_a_playlist_opens_no_other_file(media, tmp_path, monkeypatch):
    media.encode(tmp_path / "named.mp4", media.numbered_frames(4))
    for name, text in {
        "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nnamed.mp4\n#EXT-X-ENDLIST\n",
        "b.txt": "ffconcat version 1.0\nfile 'named.mp4'\n",
    }.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(MediaError, match="NotAVideo"), open_video(str(tmp_path / name), LIMITS):
            pass


def test_paths_are_never_parsed_as_protocols(media, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a|b", "pipe:0", "data:,x", "http:%2f%2fhost"):
        media.encode(tmp_path / name, media.numbered_frames(2))
        with open_video(name, LIMITS) as video:
            assert video.stream.frames == 2


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (MediaLimits(max_bytes=100), "bytes, more than the 100 allowed"),
        (MediaLimits(max_pixels=96 * 64 - 1), "96 x 64, more than the 6143 pixels allowed"),
    ],
)
def test_limits_are_checked_before_decoding(media, tmp_path, limits, text):
    path = media.encode(tmp_path / "a.mp4", media.numbered_frames(2))
    with pytest.raises(MediaError, match=text) as caught, open_video(str(path), limits):
        pass
    assert caught.value.reason == "TooLarge"


def read_all(path: Path, limits: MediaLimits) -> None:
    """Decode every packet; no frame may be over the limit."""
    with open_video(str(path), limits) as video:
        for packet in video.container.demux(video.stream):
            assert all(frame.width * frame.height <= limits.max_pixels for frame in video.decode(packet))


def test_a_frame_that_grows_past_the_limit_is_not_decoded(cases):
    """The header says 96 x 64, the second half is 192 x 128."""
    with pytest.raises(MediaError, match=r"TooLarge: .* grow beyond"):
        read_all(cases["size_changes"].path, MediaLimits(max_pixels=100 * 100))


def test_ffmpeg_messages_are_captured_and_not_printed(cases, capfd):
    before = av.logging.get_level()
    with pytest.raises(MediaError, match="Error splitting the input into NAL units"):
        read_all(cases["last_byte_lost"].path, LIMITS)
    assert av.logging.get_level() == before
    assert capfd.readouterr().err == ""


def test_damage_reported_only_in_the_log_is_an_error(media, tmp_path):
    """A failed checksum of FFV1 neither raises nor marks the frame."""
    path = media.encode(
        tmp_path / "a.mkv", media.numbered_frames(4), codec="ffv1", container="matroska", pix_fmt="bgr0"
    )
    data = path.read_bytes()
    path.write_bytes(media.flip_bytes(data, count=1, seed=1, start=len(data) // 2, stop=len(data) // 2 + 1000))
    with open_video(str(path), LIMITS) as video:
        frames = [frame for packet in video.container.demux(video.stream) for frame in packet.decode()]
        assert len(frames) == 4
        assert not any(frame.is_corrupt for frame in frames)
        assert "CRC mismatch" in " ".join(video.decoder_errors())
