from __future__ import annotations

import av
import pytest

from models.video.container import MediaLimits
from models.video.decode import decode_clip
from models.video.errors import MediaError
from models.video.window import ClipWindow
from models.video.zero_runs import zero_run_detector


def packets(path: str) -> tuple[list[bytes], list[bool]]:
    with av.open(path) as video:
        has_zero_run = zero_run_detector(video.streams.video[0].codec_context)
        contents = [bytes(packet) for packet in video.demux(video=0) if packet.size]
        return contents, [has_zero_run(packet) for packet in contents]


def test_intact_files_have_no_zero_run(cases, driving):
    paths = [str(case.path) for case in cases.values() if case.expected == {"ok"}]
    paths += [str(path) for path in driving.glob("*.mp4")]
    assert len(paths) > 30
    assert [path for path in paths if any(packets(path)[1])] == []


@pytest.mark.parametrize("name", ["plain", "mkv", "hevc"])
def test_three_zeros_in_a_unit_are_a_zero_run(cases, name):
    path = str(cases[name].path)
    packet = max(packets(path)[0], key=len)
    with av.open(path) as video:
        has_zero_run = zero_run_detector(video.streams.video[0].codec_context)
    assert not has_zero_run(packet)
    middle = len(packet) // 2
    assert not has_zero_run(packet[:middle] + b"\1\0\0\1" + packet[middle + 4 :])
    assert has_zero_run(packet[:middle] + b"\1\0\0\0\1" + packet[middle + 5 :])
    assert not has_zero_run(packet[:-3] + bytes(3))
    assert has_zero_run(packet[:-20] + bytes(20))


@pytest.mark.parametrize(
    ("codec", "container", "options"),
    [
        ("libx264", "mp4", {"crf": "12"}),
        ("libx265", "mp4", {"crf": "12", "x265-params": "log-level=none:pools=1"}),
        ("libvpx-vp9", "webm", {"crf": "4", "deadline": "realtime", "cpu-used": "8"}),
    ],
)
def test_a_lost_page_is_detected_at_any_position(media, tmp_path, codec, container, options):
    frames = media.numbered_frames(6, width=384, height=256)
    path = media.encode(tmp_path / "a.bin", frames, codec=codec, container=container, options=options)
    data = path.read_bytes()
    with av.open(str(path)) as video:
        first = next(packet for packet in video.demux(video=0) if packet.size)
        start, stop = first.pos + 200, first.pos + first.size - 2100
    assert stop > start
    window = ClipWindow(start_seconds=0, num_frames=6, frame_step=1, fps=25)
    for position in range(start, stop, (stop - start) // 6 + 1):
        path.write_bytes(data[:position] + bytes(2048) + data[position + 2048 :])
        with pytest.raises(MediaError, match=r"CorruptFrames|DecodeError"):
            decode_clip(str(path), window, short_side_px=64, multiple=8, limits=MediaLimits())
