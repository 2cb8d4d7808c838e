"""Peak memory of `zoetrope evaluate`, driver, Ray and workers together, at two numbers of animations: it must not grow.

Measured as in `bench_memory.py`, over the measures that need no published weights. The animations are few files under
many ids, so that every one is decoded and measured.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))

from bench_memory import peak_mb
from compared_videos import moving_frames, worse, write_video

NUM_FILES = 4


def write_pairs(root: Path, count: int) -> Path:
    """Table of `count` pairs of the same files."""
    path = root / f"pairs{count}.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["animation_id", "animation_uri", "truth_uri"])
        for index in range(count):
            writer.writerow([f"a{index:04d}", f"{index % NUM_FILES}.mp4", "truth.mp4"])
    return path


def main() -> None:
    """Measure both sizes; print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs=2, default=(50, 500))
    sizes = parser.parse_args().sizes
    peaks, seconds = [], []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        truth = moving_frames(1, num_frames=16, size_px=(128, 192))
        write_video(root / "truth.mp4", truth)
        for index in range(NUM_FILES):
            write_video(root / f"{index}.mp4", worse(truth, seed=index))
        for count in sizes:
            peak, took = peak_mb(
                ["evaluate", "--pairs", str(write_pairs(root, count)), "--preset", "puppets"], root / f"out{count}"
            )
            peaks.append(peak)
            seconds.append(took)
    print(
        json.dumps(
            {
                "benchmark": "evaluate",
                "animations": list(sizes),
                "peak_mb": [round(peak) for peak in peaks],
                "growth": round(peaks[1] / peaks[0] - 1, 3),
                "seconds": [round(value, 1) for value in seconds],
            }
        )
    )


if __name__ == "__main__":
    main()
