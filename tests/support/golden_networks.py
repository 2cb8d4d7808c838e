"""The parity case of DINO, VideoMAE V2, I3D of dynamic textures and the alignment of faces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from golden import GoldenCase, golden_case
from golden_weights import network_input
from numpy.typing import NDArray

CASE = "metric_networks_2"


def network_case() -> GoldenCase:
    """The case."""
    return golden_case(CASE)


def frames(case: GoldenCase, name: str) -> NDArray[np.uint8]:
    """Input `name`: uint8 frames (T, H, W, 3)."""
    spec: dict[str, Any] = case.description["inputs"][name]
    levels = 256 * network_input(name, spec["shape"], spec["seed"], spec["kind"])
    return np.floor(levels).astype(np.uint8)


def checkpoint(case: GoldenCase, file: str, folder: Path) -> Path:
    """The file, written to the folder in its published layout."""
    entry = next(entry for entry in case.description["checkpoints"] if entry["file"] == file)
    case.write_checkpoint(entry, folder / file)
    return folder / file
