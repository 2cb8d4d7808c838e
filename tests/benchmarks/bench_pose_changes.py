"""Clips per second whose skeletons are changed for training (Animate-X's explicit pose indicator), on one core.

Puppets' skeletons of 32 frames, changed as a training run changes them: drawn by seed and number, realigned to an
anchor, rescaled, parts dropped and added. Beside it, in turns, the drawing of the same skeletons, which a sample takes
whether it is changed or not. First it is checked that a changed clip stays in its place, has finite points only, and is
the same when it is made again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from models.pose.pose_augment import ExplicitIndicatorConfig, apply_change, sample_change
from models.pose.pose_map import PRESETS, draw_poses
from models.pose.proportions import NECK, with_centres
from models.puppets import render, sample_spec
from models.training.sample_spec import POSE_AUGMENT, stream

NUM_FRAMES = 32
SIDE_PX = 128
AIM_PER_SECOND = 500
CONFIG = ExplicitIndicatorConfig()


def skeletons(seed: int) -> NDArray[np.float32]:
    """(32, 133, 3) of a puppet that moves."""
    spec = sample_spec(seed, size_px=(SIDE_PX, SIDE_PX), num_shots=1, duration_seconds=NUM_FRAMES / 12)
    return np.stack([frame.keypoints for frame in render(spec, 12.0, NUM_FRAMES)]).astype(np.float32)


def check(clip: NDArray[np.float32], other: NDArray[np.float32], again: NDArray[np.float32]) -> None:
    """See the top of this file."""
    np.testing.assert_array_equal(other, again)
    assert np.isfinite(other[other[..., 2] > 0]).all()
    (points, seen), (moved, still) = with_centres(clip, 0.3), with_centres(other, 0.3)
    both = seen[:, NECK] & still[:, NECK]
    np.testing.assert_allclose(moved[both, NECK], points[both, NECK], atol=0.01)


def main() -> None:
    """Print a table and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--samples", type=int, default=300, help="of each turn")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    clips = [skeletons(seed) for seed in range(arguments.clips)]
    pool = [clip[0] for clip in clips]

    def change(number: int) -> NDArray[np.float32]:
        drawn = sample_change(stream(0, POSE_AUGMENT, number), CONFIG, pool_size=len(pool))
        return apply_change(clips[number % len(clips)], drawn, None if drawn.anchor is None else pool[drawn.anchor])

    def draw(number: int) -> NDArray[np.uint8]:
        preset = PRESETS["embedded"]
        return draw_poses(clips[number % len(clips)], height_px=SIDE_PX, width_px=SIDE_PX, preset=preset)

    for number in range(200):
        check(clips[number % len(clips)], change(number), change(number))

    def per_second(work: Callable[[int], object], count: int) -> float:
        began = time.process_time()
        for number in range(count):
            work(number)
        return count / (time.process_time() - began)

    rates: dict[str, list[float]] = {"changed": [], "drawn": []}
    for _ in range(arguments.repeats):
        rates["changed"].append(per_second(change, arguments.samples))
        rates["drawn"].append(per_second(draw, max(arguments.samples // 10, 1)))
    for name, found in rates.items():
        print(f"{name:10}{statistics.median(found):10.0f} clips/s ({min(found):.0f}–{max(found):.0f})")
    print(
        json.dumps(
            {
                "benchmark": "pose_changes",
                "frames": NUM_FRAMES,
                "aim_per_second": AIM_PER_SECOND,
                **{f"{name}_per_second": [round(rate) for rate in found] for name, found in rates.items()},
            }
        )
    )


if __name__ == "__main__":
    main()
