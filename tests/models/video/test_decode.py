from __future__ import annotations

import random

import av
import numpy as np
import pytest

from models.video.container import MediaLimits
from models.video.decode import decode_clip
from models.video.errors import MediaError
from models.video.probe import probe
from models.video.window import ClipWindow

LIMITS = MediaLimits()
SIZE = {"short_side_px": 64, "multiple": 8, "limits": LIMITS}
SEEKABLE = (
    *("plain", "b_frames", "open_gop", "fragmented", "mkv", "mpegts", "intra_refresh", "flv", "avi_b_frames"),
    *("avi_mpeg4", "vp8", "vp9", "hevc", "mpeg2", "mjpeg", "late_start", "negative_timestamps", "ten_bit"),
)


def whole(path: str) -> ClipWindow:
    info = probe(path, LIMITS)
    return ClipWindow(start_seconds=info.start_seconds, num_frames=info.num_frames, frame_step=1, fps=info.fps)


def numbers(media, clip) -> list[int]:
    return [media.read_number(frame) for frame in clip.frames]


@pytest.mark.parametrize("name", SEEKABLE)
def test_any_window_equals_decoding_from_the_start(cases, media, name):
    path = str(cases[name].path)
    every = whole(path)
    linear = decode_clip(path, every, **SIZE)
    assert numbers(media, linear) == list(range(36))
    assert (np.diff(linear.frame_seconds) > 0).all()
    rng = random.Random(name)
    for _ in range(6):
        first, step = rng.randrange(0, 30), rng.choice((1, 1, 2, 5))
        count = rng.randrange(1, (36 - first - 1) // step + 2)
        start_seconds = every.start_seconds + first / 25
        clip = decode_clip(
            path, ClipWindow(start_seconds=start_seconds, num_frames=count, frame_step=step, fps=25.0), **SIZE
        )
        assert numbers(media, clip) == [first + step * i for i in range(count)]
        np.testing.assert_array_equal(clip.frames, linear.frames[first::step][:count])
        np.testing.assert_array_equal(clip.frame_seconds, linear.frame_seconds[first::step][:count])


def test_sampling_reads_the_timestamps_and_not_the_frame_count(media, tmp_path):
    """One frame is on display for half a second: at 25 frames per second it is sampled again and again."""
    ticks_ms = [0, 40, 80, 580, 620, 660]
    path = str(media.encode(tmp_path / "held.mp4", media.numbered_frames(6), ticks_ms=ticks_ms))
    clip = decode_clip(path, ClipWindow(start_seconds=0, num_frames=17, frame_step=1, fps=25), **SIZE)
    assert numbers(media, clip) == [0, 1, *[2] * 12, *[2], 3, 4]
    np.testing.assert_allclose(clip.frame_seconds[[0, 1, 2, 13, 15]], [0, 0.04, 0.08, 0.08, 0.58], atol=1e-3)


@pytest.mark.parametrize("fps", [24, 30, 50, 60])
@pytest.mark.parametrize("container", ["matroska", "flv"])
def test_rounded_timestamps_neither_double_nor_lose_a_frame(media, tmp_path, fps, container):
    """Ticks of a millisecond cannot say 1/30 s: the error must not add up, wherever the window starts."""
    path = str(media.encode(tmp_path / "a.bin", media.numbered_frames(60), container=container, fps=fps))
    info = probe(path, LIMITS)
    assert info.fps == fps
    with av.open(path) as video:
        seconds = [float(frame.time) for frame in video.decode(video=0)]
    for first in range(0, 40, 3):
        window = ClipWindow(start_seconds=seconds[first], num_frames=20, frame_step=1, fps=info.fps)
        assert numbers(media, decode_clip(path, window, **SIZE)) == list(range(first, first + 20))


@pytest.mark.parametrize(("degrees", "quarter_turns"), [(90, -1), (180, 2), (270, 1)])
def test_rotation_makes_the_picture_upright(media, tmp_path, degrees, quarter_turns):
    """The track header says to turn clockwise by `degrees`."""
    frames = media.numbered_frames(8)
    path = media.encode(tmp_path / "a.mp4", frames, options={"crf": "1"}, pix_fmt="yuv444p")
    path.write_bytes(media.set_rotation(path.read_bytes(), degrees))
    clip = decode_clip(str(path), whole(str(path)), **SIZE)
    truth = np.rot90(np.stack(frames), quarter_turns, axes=(1, 2)).astype(int)
    assert np.abs(clip.frames - truth).mean() < 2


def test_pixels_match_the_encoded_ones(media, tmp_path):
    frames = media.numbered_frames(8)
    path = str(media.encode(tmp_path / "a.mp4", frames, options={"crf": "1"}, pix_fmt="yuv444p"))
    clip = decode_clip(path, whole(path), **SIZE)
    assert clip.frames.dtype == np.uint8
    assert np.abs(clip.frames.astype(int) - np.stack(frames)).mean() < 2


def test_full_range_video_keeps_its_contrast(media, tmp_path):
    frames = [np.full((64, 96, 3), value, dtype=np.uint8) for value in (0, 64, 128, 255)]
    path = str(media.encode(tmp_path / "a.avi", frames, codec="mjpeg", container="avi", pix_fmt="yuvj420p"))
    clip = decode_clip(path, whole(path), **SIZE)
    np.testing.assert_allclose(clip.frames.mean(axis=(1, 2, 3)), [0, 64, 128, 255], atol=2)


def test_resizing_averages_areas(media, tmp_path):
    """A fine checkerboard becomes even grey, at any phase; skipping pixels would leave stripes."""
    board = np.indices((128, 192)).sum(axis=0) % 2 * 255
    frame = np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    path = str(media.encode(tmp_path / "a.mp4", [frame] * 2, options={"crf": "1"}, pix_fmt="yuv444p"))
    clip = decode_clip(path, whole(path), short_side_px=32, multiple=8, limits=LIMITS)
    assert clip.frames.shape == (2, 32, 48, 3)
    assert np.abs(clip.frames.astype(int) - 127).max() < 12


def test_size_may_change_within_the_stream(cases, media):
    path = str(cases["size_changes"].path)
    assert numbers(media, decode_clip(path, whole(path), **SIZE)) == list(range(36))


def test_hidden_reference_frames_do_not_count_as_missing(media, tmp_path):
    """VP8 stores them as packets of their own; here one is made by clearing a frame's bit 'show'."""
    source = media.encode(
        tmp_path / "a.webm", media.numbered_frames(12), codec="libvpx", container="webm", options={"cpu-used": "8"}
    )
    with av.open(str(source)) as video:
        packet = [bytes(packet) for packet in video.demux(video=0)][5]
    data = bytearray(source.read_bytes())
    data[data.index(packet)] &= ~0x10
    source.write_bytes(data)
    info = probe(str(source), LIMITS)
    assert info.num_frames == 11
    clip = decode_clip(str(source), ClipWindow(start_seconds=0, num_frames=12, frame_step=1, fps=25), **SIZE)
    assert numbers(media, clip)[:8] == [0, 1, 2, 3, 4, 4, 6, 7]


def test_a_window_outside_the_video(cases):
    path = str(cases["late_start"].path)
    with pytest.raises(MediaError, match=r"window begins at 0.0000 s, the first frame at 9.0000 s") as caught:
        decode_clip(path, ClipWindow(start_seconds=0, num_frames=1, frame_step=1, fps=25), **SIZE)
    assert caught.value.reason == "MissingFrames"
    with pytest.raises(MediaError, match="the video ends at"):
        decode_clip(path, ClipWindow(start_seconds=9, num_frames=38, frame_step=1, fps=25), **SIZE)


@pytest.mark.parametrize("name", ["noise_in_the_middle", "zeros_in_the_middle", "flipped_bytes", "mpegts_with_a_gap"])
def test_damage_is_detected(cases, name):
    path = str(cases[name].path)
    with pytest.raises(MediaError) as caught:
        decode_clip(path, whole(path), **SIZE)
    assert caught.value.reason in {"CorruptFrames", "DecodeError"}


def test_damage_outside_a_clip_does_not_affect_it(media, tmp_path):
    path = media.encode(tmp_path / "a.mp4", media.numbered_frames(36), options={"g": "12", "bf": "0", "crf": "12"})
    data = path.read_bytes()
    with av.open(str(path)) as video:
        packet = [packet for packet in video.demux(video=0) if packet.size][17]
        start, stop = packet.pos + 8, packet.pos + packet.size
    path.write_bytes(media.flip_bytes(data, count=30, seed=1, start=start, stop=stop))
    for first, sound in ((0, True), (12, False), (24, True)):
        window = ClipWindow(start_seconds=first / 25, num_frames=12, frame_step=1, fps=25)
        if sound:
            assert numbers(media, decode_clip(str(path), window, **SIZE)) == list(range(first, first + 12))
        else:
            with pytest.raises(MediaError, match=r"is damaged near|cannot be decoded at"):
                decode_clip(str(path), window, **SIZE)


def test_frames_are_written_to_the_callers_array(cases):
    path = str(cases["plain"].path)
    given = np.zeros((36, 64, 96, 3), dtype=np.uint8)
    clip = decode_clip(path, whole(path), **SIZE, allocate=given.reshape)
    assert np.shares_memory(clip.frames, given)
    assert given.any()


def test_clip_size_is_bounded_before_it_is_allocated(cases):
    path = str(cases["plain"].path)

    def allocate(shape: tuple[int, ...]) -> np.ndarray:
        raise AssertionError(f"{shape} was allocated")

    limits = MediaLimits(max_clip_bytes=36 * 64 * 96 * 3 - 1)
    with pytest.raises(MediaError, match="36 frames of 96 x 64 take"):
        decode_clip(path, whole(path), short_side_px=64, multiple=8, limits=limits, allocate=allocate)
    endless = ClipWindow(start_seconds=0, num_frames=10**11, frame_step=1, fps=25)
    with pytest.raises(MediaError, match="TooLarge"):
        decode_clip(path, endless, **SIZE)


def test_real_video_sampled_sparsely(driving):
    path = str(driving / "xdyna_1.mp4")
    every = decode_clip(path, ClipWindow(start_seconds=0, num_frames=571, frame_step=1, fps=8), **SIZE)
    sparse = decode_clip(path, ClipWindow(start_seconds=0, num_frames=16, frame_step=35, fps=8), **SIZE)
    np.testing.assert_array_equal(sparse.frames, every.frames[::35][:16])
