"""Decode and resize a 1080 x 1920 video: CPU milliseconds per frame wanted, against bare PyAV, decord and OpenCV.

Dense: 96 consecutive frames from the middle, to a short side of 288 and of 512. Sparse: 16 of 600 frames, evenly
spread. CPU time of the process and its children, not wall time: on a loaded machine it is the steadier, and with as
many workers as cores it is what bounds throughput. What each decoder returns is checked first, by a number drawn into
each frame and by the mean difference to frames decoded at full size and averaged down by OpenCV.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import av
import cv2
import numpy as np
import psutil

from models.video.container import MediaLimits
from models.video.decode import decode_clip
from models.video.sandbox import DecoderProcess
from models.video.window import ClipWindow

WIDTH, HEIGHT, FPS, NUM_FRAMES, KEYFRAME_EVERY = 1080, 1920, 30, 600, 60
NUMBER_BITS = 10
MAX_DIFFERENCE = 3.0
"""Maximum mean difference from the reference, out of 255. Decoders differ in averaging and chroma upsampling; a wrong
frame differs by ten times this.
"""

Decode = Callable[[str, list[int], tuple[int, int]], np.ndarray]
"""(path, frame indices, (width, height)) -> (T, H, W, 3) uint8 RGB."""


def write_video(path: Path) -> None:
    """600 frames of a drifting, grainy texture and a number, H.264 as on the web: B-frames, a keyframe every 2 s."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(30, 226, (HEIGHT // 40, WIDTH // 40, 3), dtype=np.uint8)
    texture = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    grainy = [
        np.clip(texture + rng.integers(-2, 3, (HEIGHT, WIDTH, 1), dtype=np.int16), 0, 255).astype(np.uint8)
        for _ in range(4)
    ]
    block = WIDTH // NUMBER_BITS
    with av.open(str(path), "w") as output:
        options = {"preset": "superfast", "crf": "23", "g": str(KEYFRAME_EVERY), "threads": "2"}
        stream = output.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(NUM_FRAMES):
            frame = np.roll(grainy[number % 4], 3 * number, axis=0)
            for bit in range(NUMBER_BITS):
                frame[:120, bit * block : (bit + 1) * block] = 235 if number >> bit & 1 else 16
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        output.mux(stream.encode())


def read_number(frame: np.ndarray) -> int:
    """The number drawn into a frame, at any size."""
    height, width = frame.shape[:2]
    row, block = frame[height // 32], width / NUMBER_BITS
    return sum(1 << bit for bit in range(NUMBER_BITS) if row[int((bit + 0.5) * block)].mean() > 128)


def window_of(indices: Sequence[int]) -> ClipWindow:
    step = indices[1] - indices[0]
    return ClipWindow(start_seconds=indices[0] / FPS, num_frames=len(indices), frame_step=step, fps=FPS)


def zoetrope(path: str, indices: list[int], size: tuple[int, int]) -> np.ndarray:
    return decode_clip(path, window_of(indices), short_side_px=min(size), multiple=8, limits=MediaLimits()).frames


def bare_pyav(path: str, indices: list[int], size: tuple[int, int]) -> np.ndarray:
    """The short loop one writes by hand: seek, decode, resize in swscale, nothing checked."""
    wanted = set(indices)
    frames = []
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        tick = Fraction(1, FPS) / stream.time_base
        position = -1
        for index in indices:
            if index <= position:
                continue
            if index - position > KEYFRAME_EVERY or position < 0:
                container.seek(int(index * tick), stream=stream)
            for frame in container.decode(stream):
                position = round(frame.pts / tick)
                if position in wanted:
                    resized = frame.reformat(*size, "rgb24", interpolation="AREA", threads=1)
                    frames.append(resized.to_ndarray())
                if position >= index:
                    break
    return np.stack(frames)


def decord(path: str, indices: list[int], size: tuple[int, int]) -> np.ndarray:
    from decord import VideoReader

    reader = VideoReader(path, num_threads=1, width=size[0], height=size[1])
    # In small batches: in one, decord holds every frame twice and takes longer.
    return np.concatenate([reader.get_batch(indices[i : i + 8]).asnumpy() for i in range(0, len(indices), 8)])


def opencv(path: str, indices: list[int], size: tuple[int, int]) -> np.ndarray:
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    frames = []
    position = -1
    for index in indices:
        if index != position:
            capture.set(cv2.CAP_PROP_POS_FRAMES, index)
        _, frame = capture.read()
        position = index + 1
        frames.append(cv2.resize(frame, size, interpolation=cv2.INTER_AREA)[..., ::-1])
    capture.release()
    return np.stack(frames)


def reference(path: str, indices: list[int], size: tuple[int, int]) -> np.ndarray:
    """Every frame from the first on, at full size, averaged down."""
    wanted = set(indices)
    frames = []
    with av.open(path) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in wanted:
                frames.append(cv2.resize(frame.to_ndarray(format="rgb24"), size, interpolation=cv2.INTER_AREA))
            if number == indices[-1]:
                return np.stack(frames)
    raise ValueError(f"{path} ends before frame {indices[-1]}")


def cpu_seconds(children: Sequence[psutil.Process]) -> float:
    times = [process.cpu_times() for process in (psutil.Process(), *children)]
    return sum(time.user + time.system for time in times)


def measure(
    path: str,
    indices: list[int],
    size: tuple[int, int],
    *,
    decoders: dict[str, Decode],
    child: DecoderProcess,
    repeats: int,
) -> dict:
    """Check what each decoder returns, then time them in turns."""
    truth = reference(path, indices, size).astype(np.int16)
    result: dict[str, dict] = {}
    for name, decode in decoders.items():
        frames = decode(path, indices, size)
        numbers = [read_number(frame) for frame in frames]
        difference = float(np.abs(frames - truth).mean())
        correct = numbers == indices and difference < MAX_DIFFERENCE
        result[name] = {"correct": correct, "mean_difference": round(difference, 2), "rounds": []}
    children = [psutil.Process(child.pid)]
    for _ in range(repeats):
        for name, decode in decoders.items():
            started = cpu_seconds(children)
            decode(path, indices, size)
            spent = cpu_seconds(children) - started
            result[name]["rounds"].append(1000 * spent / len(indices))
    rounds = {name: entry.pop("rounds") for name, entry in result.items()}
    for name, entry in result.items():
        entry["cpu_ms_per_frame"] = round(statistics.median(rounds[name]), 2)
        entry["range"] = [round(min(rounds[name]), 2), round(max(rounds[name]), 2)]
    others = {name for name, entry in result.items() if entry["correct"] and not name.startswith("zoetrope")}
    fastest = min(others, key=lambda name: result[name]["cpu_ms_per_frame"])
    # Compared within each round, so that what slows the machine slows both.
    ratios = [theirs / ours for theirs, ours in zip(rounds[fastest], rounds["zoetrope"], strict=True)]
    return {"decoders": result, "fastest_other": fastest, "its_time_over_ours": round(statistics.median(ratios), 3)}


def main() -> None:
    """Print a table, and one line of JSON last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7, help="rounds; half as many for the sparse samples")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder, DecoderProcess() as child:
        path = Path(folder) / "video.mp4"
        write_video(path)
        child.decode(str(path), ClipWindow(start_seconds=0, num_frames=1, frame_step=1, fps=FPS), short_side_px=288)

        def in_child(path: str, indices: list[int], size: tuple[int, int]) -> np.ndarray:
            return child.decode(path, window_of(indices), short_side_px=min(size)).frames

        decoders: dict[str, Decode] = {
            "zoetrope": zoetrope,
            "zoetrope in its child process": in_child,
            "bare PyAV": bare_pyav,
            "decord": decord,
            "OpenCV": opencv,
        }
        dense, sparse = list(range(300, 348)), list(range(5, NUM_FRAMES - 10, 39))[:16]
        results = {}
        for name, indices, size, repeats in (
            ("dense_288x512", dense, (288, 512), arguments.repeats),
            ("dense_512x912", dense[:32], (512, 912), arguments.repeats),
            ("sparse_16_of_600", sparse, (288, 512), max(1, arguments.repeats // 2)),
        ):
            results[name] = measure(str(path), indices, size, decoders=decoders, child=child, repeats=repeats)
            print(name)
            for decoder, entry in results[name]["decoders"].items():
                spent = f"{entry['cpu_ms_per_frame']:8.2f} ms {entry['range']}"
                print(f"  {decoder:30s} {spent} correct: {entry['correct']}")
            print(f"  {results[name]['fastest_other']} takes {results[name]['its_time_over_ours']} of our time")
    print(json.dumps({"benchmark": "decode", "cpu_count": os.cpu_count(), "pyav": av.__version__, **results}))


if __name__ == "__main__":
    main()
