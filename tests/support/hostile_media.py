"""Media files as the world delivers them: sound ones of many kinds, broken and hostile ones, each with how it must end.

Each file is made from a few small frames whose numbers are drawn into the picture, so that a test can tell which frame
it got. `cases(folder)` writes them all.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

WIDTH, HEIGHT, FPS = 96, 64, 25
NUM_FRAMES = 36
NUMBER_BITS = 8
OK = "ok"

DAMAGED = frozenset({"CorruptFrames", "DecodeError", "MissingFrames"})


@dataclass(frozen=True)
class Case:
    """A file, and the ways in which reading it may end: `ok`, or reasons of `stages.outcome.Reason`."""

    name: str
    path: Path
    expected: frozenset[str]


def numbered_frame(number: int, *, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """(H, W, 3) uint8: `number` in binary as eight blocks along the top (white is 1), textured below; not symmetric."""
    rng = np.random.default_rng(7)
    coarse = rng.integers(40, 216, (height // 4 + 2, width // 4 + 2, 3))
    texture = np.kron(coarse, np.ones((4, 4, 1)))
    frame = np.roll(texture, (number, 2 * number), (0, 1))[:height, :width].astype(np.uint8)
    block = width // NUMBER_BITS
    for bit in range(NUMBER_BITS):
        frame[: height // 4, bit * block : (bit + 1) * block] = 235 if number >> bit & 1 else 16
    frame[height // 4 : height // 2, : width // 4] = (220, 30, 30)
    return frame


def read_number(frame: np.ndarray) -> int:
    """The number drawn by `numbered_frame`, at any size."""
    height, width = frame.shape[:2]
    block = width / NUMBER_BITS
    row = frame[height // 8]
    return sum(1 << bit for bit in range(NUMBER_BITS) if row[int((bit + 0.5) * block)].mean() > 128)


def numbered_frames(num_frames: int = NUM_FRAMES, **size: int) -> list[np.ndarray]:
    """Frames 0, 1, 2, …"""
    return [numbered_frame(number, **size) for number in range(num_frames)]


def encode(
    path: Path,
    frames: Sequence[np.ndarray],
    *,
    codec: str = "libx264",
    container: str = "mp4",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    ticks_ms: Sequence[int] | None = None,
    audio: bool = False,
    fps: Fraction | int = FPS,
) -> Path:
    """Write `frames` to `path`; frame i is shown at i / fps, or at `ticks_ms[i]` milliseconds."""
    # The same bytes every time: no random ids in the container, and none of x264's rate control that reads ahead.
    steady = {"threads": "1", **({"mbtree": "0"} if codec == "libx264" else {})}
    with av.open(
        str(path), "w", format=container, options={"fflags": "+bitexact", **(container_options or {})}
    ) as output:
        stream = output.add_stream(codec, rate=fps, options={**steady, **(options or {})})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if ticks_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if audio:
            _add_audio(output)
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if ticks_ms is not None:
                frame.pts, frame.time_base = ticks_ms[number], Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def _add_audio(output: Any, seconds: float = 1.0) -> None:
    stream = output.add_stream("aac", rate=16000)
    frame = av.AudioFrame.from_ndarray(np.zeros((1, int(16000 * seconds)), dtype=np.float32), "fltp", "mono")
    frame.sample_rate = 16000
    output.mux(stream.encode(frame))
    output.mux(stream.encode())


def remux(source: Path, path: Path, keep: Callable[[int, Any], bool], *, container: str = "mp4") -> Path:
    """Copy the packets of `source` for which keep(number, packet) holds; `keep` may change their timestamps."""
    with av.open(str(source)) as reader, av.open(str(path), "w", format=container) as writer:
        stream = reader.streams.video[0]
        copy = writer.add_stream_from_template(stream)
        for number, packet in enumerate(reader.demux(stream)):
            if packet.size and keep(number, packet):
                packet.stream = copy
                writer.mux(packet)
    return path


def find_box(data: bytes, name: bytes) -> int:
    """Offset of the content of the first MP4 box of this name."""
    position = data.find(name)
    assert position >= 4, name
    return position + 4


def flip_bytes(data: bytes, *, count: int, seed: int, start: int, stop: int) -> bytes:
    """Change `count` bytes between `start` and `stop`."""
    rng = random.Random(seed)
    changed = bytearray(data)
    for position in rng.sample(range(start, stop), count):
        changed[position] ^= rng.randrange(1, 256)
    return bytes(changed)


def mutate(data: bytes, seed: int) -> bytes:
    """One seeded mutation of a whole file: bytes changed, a piece cut out, doubled, zeroed, or the end lost."""
    rng = random.Random(seed)
    start = rng.randrange(len(data))
    stop = min(len(data), start + rng.choice((1, 4, 64, 1024)))
    kind = seed % 8
    if kind < 4:
        return flip_bytes(data, count=rng.choice((1, 2, 8, 50)), seed=seed, start=0, stop=len(data))
    if kind == 4:
        return data[:start] + data[stop:]
    if kind == 5:
        return data[:stop] + data[start:]
    if kind == 6:
        return data[:start] + bytes(stop - start) + data[stop:]
    return data[:start]


def set_rotation(data: bytes, degrees: int) -> bytes:
    """Write the matrix of the track header so that players turn the picture clockwise by `degrees`."""
    a, b = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    matrix = struct.pack(">9i", a << 16, b << 16, 0, -b << 16, a << 16, 0, 0, 0, 1 << 30)
    start = find_box(data, b"tkhd") + 40
    return data[:start] + matrix + data[start + 36 :]


def cases(folder: Path) -> list[Case]:
    """Write every file into `folder`."""
    made = [*_not_videos(folder), *_sound(folder), *_damaged(folder), *_outside(folder), *_special_files(folder)]
    return [Case(name, path, frozenset(expected)) for name, path, expected in made]


_Made = list[tuple[str, Path, Sequence[str] | frozenset[str]]]


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _not_videos(folder: Path) -> _Made:
    plain = encode(folder / "plain.mp4", numbered_frames(4))
    png = av.VideoFrame.from_ndarray(numbered_frame(1), format="rgb24").to_image()
    png.save(folder / "picture.png")
    png.save(folder / "moving.gif", save_all=True, append_images=[png.rotate(90)])
    playlist = (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{plain}\n#EXTINF:9,\n/etc/passwd\n#EXT-X-ENDLIST\n"
    )
    concat = f"ffconcat version 1.0\nfile '{plain}'\nfile '/etc/passwd'\n"
    dash = f"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><BaseURL>{plain}</BaseURL></MPD>"
    nested = b"".join(struct.pack(">I4s", 8 * (4000 - level), b"moov") for level in range(4000))
    files = {
        "empty": b"",
        "one_byte": b"\0",
        "html": b"<!doctype html><html><body>404 Not Found</body></html>",
        "text": b"just some words\n" * 400,
        "zeros": bytes(100_000),
        "noise": random.Random(1).randbytes(100_000),
        "png": (folder / "picture.png").read_bytes(),
        "gif": (folder / "moving.gif").read_bytes(),
        "playlist_m3u8": playlist.encode(),
        "concat_script": concat.encode(),
        "dash_manifest": dash.encode(),
        "nested_boxes": nested,
    }
    made: _Made = [(name, _write(folder / f"{name}.mp4", data), ["NotAVideo"]) for name, data in files.items()]
    made.append(("playlist_by_name", _write(folder / "list.m3u8", playlist.encode()), ["NotAVideo"]))
    subtitles = "1\n00:00:00,000 --> 00:00:01,000\nwords\n\n" * 20
    made.append(("subtitle_only", _write(folder / "words.srt", subtitles.encode()), ["NotAVideo", "NoVideoStream"]))
    with av.open(str(folder / "sound.mp4"), "w") as output:
        _add_audio(output)
    made.append(("audio_only", folder / "sound.mp4", ["NoVideoStream"]))
    made.append(("cover_art", _cover_art(folder), ["NoVideoStream"]))
    return made


def _cover_art(folder: Path) -> Path:
    """Sound with a picture attached, as music files have."""
    path = folder / "cover.m4a"
    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "rgb24"
        stream.disposition = av.stream.Disposition.attached_pic
        _add_audio(output)
        output.mux(stream.encode(av.VideoFrame.from_ndarray(numbered_frame(1), format="rgb24")))
        output.mux(stream.encode())
    return path


def _sound(folder: Path) -> _Made:
    frames = numbered_frames()
    plain = encode(folder / "sound_plain.mp4", frames, options={"g": "12"})
    made: _Made = [("plain", plain, [OK])]
    kinds: dict[str, dict[str, Any]] = {
        "with_audio": {"audio": True},
        "faststart": {"container_options": {"movflags": "faststart"}},
        "fragmented": {"container_options": {"movflags": "frag_keyframe+empty_moov"}, "options": {"g": "12"}},
        "b_frames": {"options": {"bf": "3", "g": "12"}},
        "open_gop": {"options": {"bf": "3", "g": "12", "x264-params": "open-gop=1"}},
        "ten_bit": {"pix_fmt": "yuv420p10le"},
        "full_chroma": {"pix_fmt": "yuv444p"},
        "mkv": {"container": "matroska", "options": {"bf": "3", "g": "12"}},
        "avi_b_frames": {"container": "avi", "options": {"bf": "3", "g": "12"}},
        "avi_mpeg4": {"container": "avi", "codec": "mpeg4"},
        "mpegts": {"container": "mpegts", "options": {"bf": "3", "g": "12"}},
        "intra_refresh": {"container": "mpegts", "options": {"x264-params": "intra-refresh=1:keyint=10"}},
        "flv": {"container": "flv", "options": {"bf": "3", "g": "12"}},
        "vp9": {"container": "webm", "codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}},
        "vp8": {"container": "webm", "codec": "libvpx", "options": {"deadline": "realtime", "cpu-used": "8"}},
        "hevc": {"codec": "libx265", "options": {"x265-params": "log-level=none:pools=1:keyint=12:bframes=3"}},
        "mpeg2": {"container": "mpeg", "codec": "mpeg2video", "options": {"bf": "2", "g": "12"}},
        "mjpeg": {"container": "avi", "codec": "mjpeg", "pix_fmt": "yuvj420p"},
        "prores": {"container": "mov", "codec": "prores_ks", "pix_fmt": "yuv422p10le"},
        "ffv1": {"container": "matroska", "codec": "ffv1", "pix_fmt": "bgr0"},
    }
    made += [(name, encode(folder / f"sound_{name}.bin", frames, **kind), [OK]) for name, kind in kinds.items()]
    jumpy = [40 * number + (number % 3) * 11 + (400 if number > 20 else 0) for number in range(NUM_FRAMES)]
    made.append(("variable_frame_rate", encode(folder / "jumpy.mp4", frames, ticks_ms=jumpy), [OK]))
    late = [9000 + 40 * number for number in range(NUM_FRAMES)]
    made.append(("late_start", encode(folder / "late.mkv", frames, container="matroska", ticks_ms=late), [OK]))
    odd = numbered_frames(width=97, height=65)
    made.append(("odd_size", encode(folder / "odd.mp4", odd, pix_fmt="yuv444p"), [OK]))
    made.append(("one_frame", encode(folder / "one.mp4", frames[:1]), [OK]))
    for degrees in (90, 180, 270):
        turned = set_rotation(plain.read_bytes(), degrees)
        made.append((f"rotated_{degrees}", _write(folder / f"turned_{degrees}.mp4", turned), [OK]))
    beginning = remux(plain, folder / "no_first_key.mkv", lambda number, _: number > 0, container="matroska")
    made.append(("first_keyframe_lost", beginning, [OK]))
    first = encode(folder / "small.ts", frames, container="mpegts")
    later = [40 * (NUM_FRAMES + number) for number in range(NUM_FRAMES)]
    second = encode(folder / "more.ts", frames, container="mpegts", ticks_ms=later)
    made.append(("joined", _write(folder / "both.ts", first.read_bytes() + second.read_bytes()), [OK, *DAMAGED]))
    made.append(("size_changes", _size_changes(folder / "sizes.ts"), [OK]))
    made.append(("timestamps_restart", _write(folder / "twice.ts", 2 * first.read_bytes()), ["DecodeError"]))
    shifted = remux(plain, folder / "negative.nut", _shift(-500), container="nut")
    made.append(("negative_timestamps", shifted, [OK]))
    return made


def _size_changes(path: Path) -> Path:
    """One stream whose pictures get larger half way, as a broadcast does between programmes."""
    with av.open(str(path), "w", format="mpegts") as output:
        stream = output.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        larger = av.CodecContext.create("libx264", "w")
        larger.width, larger.height, larger.pix_fmt = 2 * WIDTH, 2 * HEIGHT, "yuv420p"
        larger.time_base, larger.framerate = Fraction(1, FPS), FPS
        for encoder, first in ((stream.codec_context, 0), (larger, NUM_FRAMES // 2)):
            pictures = numbered_frames(NUM_FRAMES, width=encoder.width, height=encoder.height)
            packets = []
            for number, picture in enumerate(pictures[first : first + NUM_FRAMES // 2], start=first):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, FPS)
                packets += encoder.encode(frame)
            for packet in packets + encoder.encode():
                packet.stream = stream
                output.mux(packet)
    return path


def _shift(milliseconds: int) -> Callable[[int, Any], bool]:
    def keep(_: int, packet: Any) -> bool:
        ticks = round(Fraction(milliseconds, 1000) / packet.time_base)
        packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
        return True

    return keep


def _damaged(folder: Path) -> _Made:
    frames = numbered_frames()
    last = encode(folder / "index_last.mp4", frames, options={"crf": "12"}).read_bytes()
    first = encode(
        folder / "index_first.mp4", frames, options={"crf": "12"}, container_options={"movflags": "faststart"}
    ).read_bytes()
    media, middle = find_box(first, b"mdat"), (find_box(first, b"mdat") + len(first)) // 2
    noise = random.Random(2).randbytes(2000)
    stsz, stts, stco = (find_box(first, name) for name in (b"stsz", b"stts", b"stco"))
    long = bytearray(first)
    for name, offset in ((b"mvhd", 16), (b"tkhd", 20), (b"mdhd", 16)):
        position = find_box(first, name) + offset
        long[position : position + 4] = struct.pack(">I", 36_000_000)
    mkv = encode(folder / "whole.mkv", frames, container="matroska", options={"crf": "12"}).read_bytes()
    length = mkv.index(b"\x44\x89\x88")  # the element Duration, of eight bytes
    ts = encode(folder / "whole.ts", frames, container="mpegts", options={"crf": "12"}).read_bytes()
    files: dict[str, tuple[bytes, Sequence[str] | frozenset[str]]] = {
        "truncated_half": (last[: len(last) // 2], ["NotAVideo"]),
        "faststart_cut_at_half": (first[: len(first) // 2], ["MissingFrames"]),
        "last_kilobyte_lost": (first[:-1000], ["MissingFrames"]),
        "last_byte_lost": (first[:-1], DAMAGED),
        "moov_lost": (last[: last.rfind(b"moov") - 4], ["NotAVideo"]),
        "moov_is_noise": (last[: last.rfind(b"moov") + 12] + noise, ["NotAVideo", "NoVideoStream", *DAMAGED]),
        "noise_in_the_middle": (first[:middle] + noise + first[middle + 2000 :], DAMAGED),
        "zeros_in_the_middle": (first[:middle] + bytes(2000) + first[middle + 2000 :], DAMAGED),
        "flipped_bytes": (flip_bytes(first, count=200, seed=3, start=media + 600, stop=len(first)), DAMAGED),
        "piece_doubled": (first[:middle] + first[middle - 3000 :], DAMAGED),
        "index_points_nowhere": (first[: stco + 8] + b"\x7f" * 4 + first[stco + 12 :], DAMAGED),
        "index_sizes_are_noise": (first[: stsz + 12] + noise[:80] + first[stsz + 92 :], DAMAGED),
        "index_counts_two_billion": (first[: stsz + 8] + b"\x7f" * 4 + first[stsz + 12 :], ["NotAVideo", *DAMAGED]),
        "all_at_one_time": (first[: stts + 12] + bytes(4) + first[stts + 16 :], [OK, *DAMAGED]),
        "claims_ten_hours": (bytes(long), [OK, "MissingFrames"]),
        "mkv_claims_ten_hours": (mkv[: length + 3] + struct.pack(">d", 36e6) + mkv[length + 11 :], ["MissingFrames"]),
        "mkv_cut_at_half": (mkv[: len(mkv) // 2], DAMAGED),
        "mpegts_with_a_gap": (ts[: len(ts) // 3 // 188 * 188] + ts[len(ts) // 2 // 188 * 188 :], DAMAGED),
    }
    made: _Made = [(name, _write(folder / f"{name}.bin", data), how) for name, (data, how) in files.items()]
    one_key = encode(folder / "one_key.mp4", frames)
    headless = remux(one_key, folder / "headless.mkv", lambda number, _: number > 0, container="matroska")
    made.append(("no_keyframe", headless, DAMAGED))
    return made


def _outside(folder: Path) -> _Made:
    """Sound files that are more than anyone should decode, or coded as nothing in use."""
    bomb = encode(folder / "bomb.mp4", [np.zeros((8192, 8192, 3), dtype=np.uint8)], options={"preset": "ultrafast"})
    jump = encode(
        folder / "jump.mkv",
        numbered_frames(12),
        container="matroska",
        ticks_ms=[40 * n + (90_000_000 if n > 5 else 0) for n in range(12)],
    )
    rare = encode(folder / "rare.avi", numbered_frames(4), container="avi", codec="zmbv", pix_fmt="bgr0")
    sizeless = encode(folder / "sizeless.avi", numbered_frames(4), container="avi", codec="rawvideo", pix_fmt="bgr24")
    data = sizeless.read_bytes()
    strf = find_box(data, b"strf") + 8
    _write(sizeless, data[:strf] + bytes(8) + data[strf + 8 :])
    return [
        ("bomb_8192_squared", bomb, ["TooLarge"]),
        ("jump_of_a_day", jump, ["TooLarge"]),
        ("rare_codec", rare, ["UnsupportedCodec"]),
        ("zero_size_picture", sizeless, ["NotAVideo", *DAMAGED]),
    ]


def _special_files(folder: Path) -> _Made:
    plain = encode(folder / "target.mp4", numbered_frames(12))
    (folder / "folder.mp4").mkdir()
    os.mkfifo(folder / "pipe.mp4")
    (folder / "link.mp4").symlink_to(plain)
    (folder / "dangling.mp4").symlink_to(folder / "gone")
    (folder / "loop.mp4").symlink_to(folder / "loop.mp4")
    (folder / "device.mp4").symlink_to("/dev/zero")
    (folder / "passwd.mp4").symlink_to("/etc/passwd")
    secret = _write(folder / "secret.mp4", plain.read_bytes())
    secret.chmod(0)
    data = plain.read_bytes()
    return [
        ("directory", folder / "folder.mp4", ["UnreadableSource"]),
        ("fifo", folder / "pipe.mp4", ["UnreadableSource"]),
        ("symlink", folder / "link.mp4", [OK]),
        ("dangling_symlink", folder / "dangling.mp4", ["NotFound"]),
        ("symlink_loop", folder / "loop.mp4", ["UnreadableSource"]),
        ("device", folder / "device.mp4", ["UnreadableSource"]),
        ("other_file", folder / "passwd.mp4", ["NotAVideo"]),
        ("no_permission", secret, [OK] if os.geteuid() == 0 else ["UnreadableSource"]),
        ("missing", folder / "never_was.mp4", ["NotFound"]),
        ("long_name", _write(folder / ("x" * 251 + ".mp4"), data), [OK]),
        ("name_too_long", folder / ("x" * 300 + ".mp4"), ["UnreadableSource"]),
        ("name_like_a_protocol", _write(folder / "concat:a.mp4|b.mp4", data), [OK]),
        ("name_with_a_colon", _write(folder / "http:%2f%2fhost.mp4", data), [OK]),
        ("unicode_name", _write(folder / "Tänzer 舞 \U0001f57a.mp4", data), [OK]),
    ]
