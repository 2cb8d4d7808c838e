"""I3D trained on dynamic textures, whose features DTFVD compares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from models.metrics.networks.frames import consecutive_windows, to_tensor
from models.metrics.networks.i3d import INPUT_PX, I3d
from models.metrics.networks.layers import load_network

DTDB_CLASSES = 18
BATCH_NORM_EPS = 1e-5
"""Default of `torch.nn.BatchNorm3d`, unlike that of I3D trained on Kinetics."""
WINDOW_FRAMES = 16
POOL_FRAMES = 2
"""Time steps of a window before the last layer."""


class DynamicTexturesI3d:
    """Features of DTFVD: the 1024 values before the last layer of I3D trained on DTDB, of clips of 16 frames resized to
    224 × 224 px, bilinear with aligned corners (Dorkenwald et al. 2021).
    """

    def __init__(self, path: Path, *, device: torch.device | str = "cpu", width_divisor: int = 1) -> None:
        """Load `I3D_16.pth.tar`. `width_divisor`: divides the published widths, for tests.

        Raises:
            CheckpointError: see `load_network`.
        """
        self.device = device
        self.network = load_network(
            lambda: I3d(
                num_classes=DTDB_CLASSES,
                batch_norm_eps=BATCH_NORM_EPS,
                pool_frames=POOL_FRAMES,
                width_divisor=width_divisor,
            ),
            path,
            device,
        )

    @torch.inference_mode()
    def features(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features (N, 1024) of consecutive windows of 16 uint8 RGB frames; a shorter clip is one window, in which it
        is repeated from its start.
        """
        if len(frames_THWC) < WINDOW_FRAMES:
            frames_THWC = frames_THWC[np.arange(WINDOW_FRAMES) % len(frames_THWC)]
        return np.stack([self._window(window) for window in consecutive_windows(frames_THWC, WINDOW_FRAMES)])

    def _window(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        size = (INPUT_PX, INPUT_PX)
        pixels = functional.interpolate(
            to_tensor(frames_THWC, self.device) / 127.5 - 1, size=size, mode="bilinear", align_corners=True
        )
        features: NDArray[np.float32] = self.network.pooled(pixels.movedim(0, 1)[None]).cpu().numpy()
        return features.reshape(-1)
