"""Pairs of pictures for the measures, generated from names and seeds like the inputs of the parity cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import golden_weights
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def picture_pair(name: str, spec: Mapping[str, Any]) -> tuple[Picture, Picture]:
    """Animation and truth, (H, W, 3) uint8 RGB, of an entry of `metrics_generated/case.json`.

    `truth`: "levels" (independent levels), "smooth" (their mean over 5 x 5 pixels) or "black". `animation`: its change.
    """
    size, seed = tuple(spec["size"]), spec["seed"]
    truth = {"levels": _levels, "smooth": _smooth, "black": _black}[spec["truth"]](name, size, seed)
    changes: Mapping[str, Callable[[], Picture]] = {
        "identical": truth.copy,
        "noise": lambda: _clipped(truth + np.rint(12 * golden_weights.normal(f"{name}.noise", truth.shape, seed))),
        "shifted": lambda: np.roll(truth, (2, 3), axis=(0, 1)),
        "brighter": lambda: _clipped(truth + 18.0),
        "inverted": lambda: 255 - truth,
        "other": lambda: _smooth(f"{name}.other", (*spec["animation_size"], 3), seed),
    }
    return changes[spec["animation"]](), truth


def _levels(name: str, size: tuple[int, ...], seed: int) -> Picture:
    return np.floor(256 * golden_weights.uniform(name, size, seed)).astype(np.uint8)


def _smooth(name: str, size: tuple[int, ...], seed: int) -> Picture:
    levels = _levels(name, (size[0] + 4, size[1] + 4, 3), seed).astype(np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(levels, (5, 5), axis=(0, 1))
    return (windows.sum((-2, -1)) // 25).astype(np.uint8)


def _black(name: str, size: tuple[int, ...], seed: int) -> Picture:
    return np.zeros(size, np.uint8)


def _clipped(levels: NDArray[np.floating]) -> Picture:
    return np.clip(levels, 0, 255).astype(np.uint8)
