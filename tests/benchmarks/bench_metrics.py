"""Frames per second of the pixel measures on one core, and of the library calls of DisCo's evaluation code.

Both compute L1, PSNR, the wrapped PSNR and SSIM of the same frames in memory, in one thread, in turns. DisCo's side
makes the calls of its `compute_ssim_l1_psnr` per picture, without reading files. The numbers are compared first.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from math import log10, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from models.metrics.pixels import l1, l1_disco, psnr, psnr_wrapped, ssim

SIZES_PX = ((256, 256), (512, 768))

Frames = NDArray[np.uint8]
Scores = dict[str, float]


def ours(animation_THWC: Frames, truth_THWC: Frames) -> Scores:
    return {
        measure.__name__: float(measure(animation_THWC, truth_THWC).mean())
        for measure in (l1, l1_disco, psnr, psnr_wrapped, ssim)
    }


def disco(animation_THWC: Frames, truth_THWC: Frames) -> Scores:
    rows: dict[str, list[float]] = {}
    for frame, truth in zip(animation_THWC, truth_THWC, strict=True):
        absolute = np.absolute(frame.astype("float") - truth.astype("float"))
        rows.setdefault("l1", []).append(float(np.mean(absolute)) / 255)
        absolute /= float(frame.shape[0] * frame.shape[1])
        rows.setdefault("l1_disco", []).append(float(np.mean(absolute)))
        squared = np.mean((frame.astype(np.float64) - truth.astype(np.float64)) ** 2)
        rows.setdefault("psnr", []).append(_decibels(float(squared)))
        rows.setdefault("psnr_wrapped", []).append(_decibels(float(np.mean((frame - truth) ** 2))))
        grey = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (frame, truth))
        rows.setdefault("ssim", []).append(float(structural_similarity(*grey, full=True)[0]))
    return {name: float(np.mean(values)) for name, values in rows.items()}


def _decibels(squared: float) -> float:
    return 100.0 if squared == 0 else 20 * log10(255.0 / sqrt(squared))


def clips(height_px: int, width_px: int, num_frames: int) -> tuple[Frames, Frames]:
    """Smooth pictures, and the same with noise."""
    rng = np.random.default_rng(0)
    shape = (num_frames, height_px, width_px, 3)
    truth = np.stack([cv2.GaussianBlur(frame, (0, 0), 2) for frame in rng.integers(0, 256, shape, dtype=np.uint8)])
    return np.clip(truth + rng.normal(0, 8, shape), 0, 255).astype(np.uint8), truth


def frames_per_second(compute: Callable[[Frames, Frames], Scores], animation: Frames, truth: Frames) -> float:
    began = time.process_time()
    compute(animation, truth)
    return len(truth) / (time.process_time() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    results = {}
    print(f"{'size':>10} {'ours':>10} {'DisCo':>10} {'ratio':>7}   frames/s per core")
    for height_px, width_px in SIZES_PX:
        animation, truth = clips(height_px, width_px, arguments.frames)
        expected, found = disco(animation, truth), ours(animation, truth)
        for name, value in expected.items():
            assert abs(found[name] - value) <= 1e-11 * abs(value), (name, found[name], value)
        rounds = [
            (frames_per_second(ours, animation, truth), frames_per_second(disco, animation, truth))
            for _ in range(arguments.rounds)
        ]
        speed, peer_speed = (statistics.median(side) for side in zip(*rounds, strict=True))
        ratio = statistics.median(a / b for a, b in rounds)
        print(f"{height_px:>4} × {width_px:<4}{speed:>10.0f} {peer_speed:>10.0f} {ratio:>7.1f}")
        results[f"{height_px}x{width_px}"] = {
            "frames_per_second": round(speed, 1),
            "disco_frames_per_second": round(peer_speed, 1),
            "ratio": round(ratio, 2),
        }
    print(json.dumps(results))


if __name__ == "__main__":
    main()
