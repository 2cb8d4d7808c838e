"""Damaged files found, of all: by this project (inspect, then decode), and by decord, OpenCV and bare PyAV.

Files are cut short, overwritten with noise or zeros, or have bytes changed, cut out or dropped at the end, at seeded
places. A file counts as damaged if reading it without any check gives other pixels than the sound file, fewer of them,
or fails; what changes nothing is left out. A decoder has found it if it raises, or returns another number of frames
than it announced. Sound files of several kinds are read as well: an alarm there is false.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType

import av
import cv2
import numpy as np

from models.video.errors import MediaError
from models.video.sandbox import DecoderProcess
from models.video.window import ClipWindow

WIDTH, HEIGHT, NUM_FRAMES, FPS = 256, 448, 24, 25
TIMEOUT_SECONDS = 20

Damage = Callable[[bytes, int, random.Random], bytes]
"""(whole file, where its media data begins, random numbers) -> damaged file."""


def cut(data: bytes, start: int, rng: random.Random) -> bytes:
    return data[: rng.randrange(start + 1000, len(data) - 2000)]


def lose_end(data: bytes, start: int, rng: random.Random) -> bytes:
    return data[: -rng.randrange(1, 2000)]


def put_noise(data: bytes, start: int, rng: random.Random) -> bytes:
    return overwrite(data, start, rng.randbytes(rng.randrange(1000, 8000)), rng)


def put_zeros(data: bytes, start: int, rng: random.Random) -> bytes:
    return overwrite(data, start, bytes(4096), rng)


def overwrite(data: bytes, start: int, piece: bytes, rng: random.Random) -> bytes:
    position = rng.randrange(start, len(data) - len(piece))
    return data[:position] + piece + data[position + len(piece) :]


def drop_piece(data: bytes, start: int, rng: random.Random) -> bytes:
    position = rng.randrange(start, len(data) - 1000)
    return data[:position] + data[position + 1000 :]


def change_bytes(count: int) -> Damage:
    def change(data: bytes, start: int, rng: random.Random) -> bytes:
        changed = bytearray(data)
        for position in rng.sample(range(start, len(data)), count):
            changed[position] ^= rng.randrange(1, 256)
        return bytes(changed)

    return change


DAMAGES: dict[str, Damage] = {
    "cut short": cut,
    "end lost": lose_end,
    "noise": put_noise,
    "zeros": put_zeros,
    "piece lost": drop_piece,
    "200 bytes changed": change_bytes(200),
    "1 byte changed": change_bytes(1),
}


def hostile_media() -> ModuleType:
    """The generator of the tests, which can encode anything."""
    spec = importlib.util.spec_from_file_location(
        "hostile_media", Path(__file__).parents[1] / "support" / "hostile_media.py"
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules["hostile_media"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["hostile_media"])
    return sys.modules["hostile_media"]


def pixels(path: str) -> list[np.ndarray] | None:
    """Every frame that one decoder thread gives, whatever it thinks of them; None if it fails."""
    try:
        with av.open(path, metadata_errors="replace") as container:
            container.streams.video[0].thread_type = "NONE"
            return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    except Exception:  # whatever it fails with, a file that gives no pixels is damaged
        return None


def found_by_bare_pyav(path: str) -> bool:
    """The loop of PyAV's documentation, with the number of frames compared."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        num_frames = sum(1 for _ in container.decode(stream))
        return stream.frames not in (0, num_frames)


def found_by_decord(path: str) -> bool:
    from decord import VideoReader

    reader = VideoReader(path, num_threads=1)
    return len(reader.get_batch(range(len(reader))).asnumpy()) != len(reader)


def found_by_opencv(path: str) -> bool:
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    announced = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    num_frames = 0
    while capture.read()[0]:
        num_frames += 1
    capture.release()
    return announced != num_frames or num_frames == 0


class Peer:
    """Another decoder, in a process that may die or hang."""

    def __init__(self, found: Callable[[str], bool]) -> None:
        self.found = found
        self.num_crashes = 0
        self.pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=silence)

    def __call__(self, path: str) -> bool:
        try:
            return self.pool.submit(self.found, path).result(TIMEOUT_SECONDS)
        except (BrokenProcessPool, TimeoutError):
            self.num_crashes += 1
            for process in list(self.pool._processes.values()):
                process.kill()
            self.pool = self._start()
            return True
        except Exception:  # the decoder under test raised, in its own way: it has noticed the damage
            return True


def silence() -> None:
    """The decoders' own messages are many, and none is looked at."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


class Ours:
    """Inspect and decode, as ingest and prepare do."""

    def __init__(self) -> None:
        self.decoder = DecoderProcess()
        self.num_crashes = 0

    def __call__(self, path: str) -> bool:
        try:
            info = self.decoder.inspect(path).info
            window = ClipWindow(
                start_seconds=info.start_seconds, num_frames=info.num_frames, frame_step=1, fps=info.fps
            )
            self.decoder.decode(path, window, short_side_px=256)
        except MediaError as error:
            self.num_crashes += error.reason in ("Crash", "Timeout")
            return True
        return False


def damaged_files(
    whole: Path, damaged: Path, decoders: dict[str, Callable[[str], bool]], num_seeds: int
) -> dict[str, dict[str, int]]:
    """For each kind of damage: how many files were damaged, and how many of them each decoder found."""
    data = whole.read_bytes()
    sound = pixels(str(whole))
    assert sound is not None
    with av.open(str(whole)) as container:
        start = min(packet.pos for packet in container.demux(video=0) if packet.size) + 64
    rows: dict[str, dict[str, int]] = {}
    for kind, damage in DAMAGES.items():
        row = rows[kind] = {"of": 0, **dict.fromkeys(decoders, 0)}
        for seed in range(num_seeds):
            damaged.write_bytes(damage(data, start, random.Random(f"{kind} {seed}")))
            read = pixels(str(damaged))
            if read is not None and len(read) == len(sound) and all(map(np.array_equal, read, sound)):
                continue
            row["of"] += 1
            for name, found in decoders.items():
                row[name] += found(str(damaged))
    return rows


def main() -> None:
    """Print a table, and one line of JSON last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="files per kind of damage and container")
    arguments = parser.parse_args()
    media = hostile_media()
    frames = media.numbered_frames(NUM_FRAMES, width=WIDTH, height=HEIGHT)
    decoders = {
        "zoetrope": Ours(),
        "bare PyAV": Peer(found_by_bare_pyav),
        "decord": Peer(found_by_decord),
        "OpenCV": Peer(found_by_opencv),
    }
    kinds = {
        "h264 mp4": {"container_options": {"movflags": "faststart"}, "options": {"g": "12"}},
        "h264 mkv": {"container": "matroska", "options": {"g": "12"}},
        "hevc mp4": {"codec": "libx265", "options": {"x265-params": "log-level=none:pools=1:keyint=12"}},
        "vp9 webm": {"codec": "libvpx-vp9", "container": "webm", "options": {"deadline": "realtime", "cpu-used": "8"}},
    }
    table: dict[str, dict[str, dict[str, int]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, settings in kinds.items():
            whole = media.encode(Path(folder) / "whole.bin", frames, fps=FPS, **settings)
            table[kind] = damaged_files(whole, Path(folder) / "damaged.bin", decoders, arguments.seeds)
            print(kind)
            for damage, row in table[kind].items():
                print(f"  {damage:20s}", ", ".join(f"{name} {row[name]}/{row['of']}" for name in decoders))
        (Path(folder) / "sound").mkdir()
        sound = [case for case in media.cases(Path(folder) / "sound") if case.expected == {"ok"}]
        alarms = {name: sum(found(str(case.path)) for case in sound) for name, found in decoders.items()}
    print(f"false alarms on {len(sound)} sound files: {alarms}")
    h264 = [row for kind in ("h264 mp4", "h264 mkv") for row in table[kind].values()]
    result = {
        "benchmark": "damage",
        "damaged_h264_files": sum(row["of"] for row in h264),
        "found": {name: sum(row[name] for row in h264) for name in decoders},
        "by_kind": table,
        "sound_files": len(sound),
        "false_alarms": alarms,
        "crashes_or_hangs": {name: decoder.num_crashes for name, decoder in decoders.items()},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
