"""Stage of the pixel-wise measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from models.metrics.pixels import l1, l1_disco, psnr, psnr_wrapped, ssim
from stages.base import Row, Stage
from stages.evaluate.values import mean_or_none


@dataclass(frozen=True, kw_only=True, slots=True)
class PixelsConfig:
    """The pixel-wise measures have no settings."""


class PixelsStage(Stage[PixelsConfig]):
    """Means of the pixel-wise measures over frames, and `worst_frame`, the first frame of the lowest PSNR."""

    name = "pixels"
    reads: ClassVar[frozenset[str]] = frozenset({"animation_frames", "truth_frames"})
    writes: ClassVar[frozenset[str]] = frozenset(
        {"l1", "l1_disco", "psnr_db", "psnr_wrapped_db", "ssim", "worst_frame"}
    )

    def process(self, row: Row) -> Row:
        """The measures of the row's pair."""
        animation, truth = row["animation_frames"], row["truth_frames"]
        decibels = psnr(animation, truth)
        return {
            "l1": mean_or_none(l1(animation, truth)),
            "l1_disco": mean_or_none(l1_disco(animation, truth)),
            "psnr_db": mean_or_none(decibels),
            "psnr_wrapped_db": mean_or_none(psnr_wrapped(animation, truth)),
            "ssim": mean_or_none(ssim(animation, truth)),
            "worst_frame": int(np.argmin(decibels)),
        }
