"""Prompts for object masks. Imports no torch: planning reads them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.perception.letterbox import Box


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectPrompt:
    """Prompt for an object in one frame of a clip: a box, points, or both; in pixels of the frames.

    `positive`, `negative`: (N, 2) x, y of points on the object and beside it.
    """

    frame: int
    box: Box | None
    positive: NDArray[np.float32]
    negative: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.box is None and len(self.positive) == 0:
            raise ValueError("a prompt needs a box or a positive point")
