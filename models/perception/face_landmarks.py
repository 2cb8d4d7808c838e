"""Embedded network for the 68 landmarks of a puppet's face, for scores of expressions.

The figure network sees the whole frame, in which lids and lips are a pixel or two high; this one sees the face alone.
No pose backend uses it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.common.digest import CheckpointError
from models.finite import check_finite
from models.perception.embedded import load_network, to_input
from models.perception.letterbox import Letterbox
from models.perception.shipped import FACE_CHECKPOINT
from models.pose.skeleton import FACE, NUM_FACE_LANDMARKS

FACE_ROOM = 1.5
"""Side of the network's square relative to the longer side of the box of the landmarks."""
BATCH_FRAMES = 32


class FaceLandmarks:
    """Landmarks of the face in frames for which the keypoints of the figure network are known."""

    def __init__(self, path: Path = FACE_CHECKPOINT) -> None:
        self.network = load_network(path)
        if self.network.config.num_keypoints != NUM_FACE_LANDMARKS:
            raise CheckpointError(
                f"{path} holds a network of {self.network.config.num_keypoints} keypoints; "
                f"expected one of {NUM_FACE_LANDMARKS} landmarks, such as {FACE_CHECKPOINT.name}"
            )

    @torch.inference_mode()
    def landmarks(self, frames_THWC: NDArray[np.uint8], keypoints_TK3: NDArray[np.float32]) -> NDArray[np.float32]:
        """Landmarks (T, 68, 3): x, y in pixels of the frame, then the probability that the landmark is present.

        Args:
            frames_THWC: uint8 RGB.
            keypoints_TK3: (T, 133, 3) in pixels of the frames; the box of all face keypoints tells where the face is.

        Raises:
            ValueError: the numbers of frames differ.
        """
        if len(frames_THWC) != len(keypoints_TK3):
            counts = f"{len(frames_THWC)} frames and {len(keypoints_TK3)} skeletons"
            raise ValueError(f"expected the keypoints of each frame, got {counts}")
        landmarks = np.zeros((len(frames_THWC), NUM_FACE_LANDMARKS, 3), np.float32)
        squares = [self._square(points, frames_THWC.shape[1:3]) for points in keypoints_TK3[:, FACE, :2]]
        for start in range(0, len(frames_THWC), BATCH_FRAMES):
            batch = range(start, min(start + BATCH_FRAMES, len(frames_THWC)))
            images = to_input(np.stack([squares[t].cut(frames_THWC[t]) for t in batch]))
            pose = self.network.pose(self.network.features(images)[1])
            check_finite(
                torch.cat([pose.xy.flatten(), pose.presence.flatten()]), "landmarks of the embedded face network"
            )
            landmarks[batch.start : batch.stop, :, 2] = pose.presence.sigmoid().numpy()
            for t, xy in zip(batch, pose.xy.numpy(), strict=True):
                landmarks[t, :, :2] = squares[t].points_to_image(xy)
        return landmarks

    def _square(self, points_N2: NDArray[np.float32], size_px: tuple[int, ...]) -> Letterbox:
        height, width = size_px
        inside = points_N2.clip(0, (width - 1, height - 1))  # a face outside the frame has no square
        x0, y0, x1, y1 = (float(value) for value in (*inside.min(axis=0), *(inside.max(axis=0) + 1)))
        return Letterbox.around(
            (x0, y0, x1, y1), width_px=width, height_px=height, side_px=self.network.config.input_px, room=FACE_ROOM
        )
