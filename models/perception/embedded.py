"""Embedded perception: small networks trained on puppets and shipped with this project."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.common.checkpoint import load_new
from models.common.digest import CheckpointError
from models.common.safetensors_file import read_metadata
from models.finite import check_finite
from models.perception.letterbox import Letterbox
from models.perception.network import PerceptionNet, PerceptionNetConfig
from models.perception.shipped import FIGURE_CHECKPOINT
from models.pose.extent import CONFIDENT_SCORE

BATCH_FRAMES = 8
MASK_ROOM = 1.7
"""Side of the mask's square relative to the box of the keypoints; leaves room for hats, ears and tails."""


def load_network(path: Path) -> PerceptionNet:
    """Load the network of a checkpoint file, in evaluation mode.

    Raises:
        CheckpointError: the file is absent, damaged or not of a `PerceptionNet`.
    """
    stored = read_metadata(path).get("network")
    if not isinstance(stored, dict):
        raise CheckpointError(f"{path} does not say in its metadata which PerceptionNetConfig it belongs to")
    try:
        config = config_from_json(stored)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path} names no valid PerceptionNetConfig: {error}") from error
    network = load_new(lambda: PerceptionNet(config), path)
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def config_from_json(stored: Mapping[str, Any]) -> PerceptionNetConfig:
    """Configuration from the JSON form of `dataclasses.asdict`."""
    return PerceptionNetConfig(**{**stored, "widths": tuple(stored["widths"])})


def to_input(squares_BSSC: NDArray[np.uint8]) -> Tensor:
    """Convert squares (B, S, S, 3) to the network's input (B, 3, S, S) in [-1, 1], channels last in memory."""
    return torch.from_numpy(squares_BSSC).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


class EmbeddedFigure:
    """Keypoints, depth and character mask of frames (T, H, W, 3) uint8; each method runs only its own head."""

    def __init__(self, path: Path = FIGURE_CHECKPOINT) -> None:
        self.network = load_network(path)

    @torch.inference_mode()
    def keypoints(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Keypoints (T, 133, 3): x, y in pixels of the frame, then the probability that the keypoint is present."""
        letterbox = self._letterbox(frames_THWC)
        keypoints = np.zeros((len(frames_THWC), self.network.config.num_keypoints, 3), np.float32)
        for batch, images in self._batches(frames_THWC, letterbox):
            pose = self.network.pose(self.network.features(images)[1])
            check_finite(torch.cat([pose.xy.flatten(), pose.presence.flatten()]), "keypoints of the embedded network")
            keypoints[batch, :, :2] = letterbox.points_to_image(pose.xy.numpy())
            keypoints[batch, :, 2] = pose.presence.sigmoid().numpy()
        return keypoints

    @torch.inference_mode()
    def depth(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Relative depth (T, H, W), smaller is nearer; one scale for all frames."""
        letterbox = self._letterbox(frames_THWC)
        depth = np.empty(frames_THWC.shape[:3], np.float32)
        for batch, images in self._batches(frames_THWC, letterbox):
            x2, y4 = self.network.features(images)
            squares = self.network.depth(self.network.dense(x2, y4)).numpy()
            check_finite(squares, "depth of the embedded network")
            for t, square in enumerate(squares, start=batch.start):
                depth[t] = letterbox.map_to_region(square)
        return depth

    @torch.inference_mode()
    def character_mask(self, frames_THWC: NDArray[np.uint8], keypoints: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Mask (T, H, W) of the pixels with character probability above 1/2.

        `keypoints`: (T, 133, 3). For a small character, the network's input is cropped to one square around the
        confident keypoints of all frames, `MASK_ROOM` times as large as their box.
        """
        letterbox = _closer(self._letterbox(frames_THWC), keypoints)
        inside = np.s_[letterbox.y0 : letterbox.y1, letterbox.x0 : letterbox.x1]
        masks = np.zeros(frames_THWC.shape[:3], np.bool_)
        for batch, images in self._batches(frames_THWC, letterbox):
            x2, y4 = self.network.features(images)
            squares = self.network.mask(self.network.dense(x2, y4)).numpy()
            check_finite(squares, "character mask of the embedded network")
            for t, square in enumerate(squares, start=batch.start):
                masks[t][inside] = letterbox.map_to_region(square) > 0
        return masks

    def _letterbox(self, frames_THWC: NDArray[np.uint8]) -> Letterbox:
        if frames_THWC.ndim != 4 or frames_THWC.shape[3] != 3 or frames_THWC.dtype != np.uint8:
            raise ValueError(f"frames must be uint8 (T, H, W, 3), got {frames_THWC.dtype} {frames_THWC.shape}")
        height, width = frames_THWC.shape[1:3]
        return Letterbox.of_frame(width_px=width, height_px=height, side_px=self.network.config.input_px)

    def _batches(self, frames_THWC: NDArray[np.uint8], letterbox: Letterbox) -> Iterator[tuple[slice, Tensor]]:
        for start in range(0, len(frames_THWC), BATCH_FRAMES):
            batch = slice(start, min(start + BATCH_FRAMES, len(frames_THWC)))
            yield batch, to_input(np.stack([letterbox.cut(frame) for frame in frames_THWC[batch]]))


def _closer(frame: Letterbox, keypoints: NDArray[np.float32]) -> Letterbox:
    """Square around all confident keypoints; the whole frame without keypoints or if the square is not smaller."""
    points = keypoints[keypoints[..., 2] >= CONFIDENT_SCORE][:, :2]
    if len(points) < 2:
        return frame
    (x0, y0), (x1, y1) = points.min(0), points.max(0)
    square = Letterbox.around(
        (float(x0), float(y0), float(x1), float(y1)),
        width_px=frame.x1,
        height_px=frame.y1,
        side_px=frame.side_px,
        room=MASK_ROOM,
    )
    smaller = max(square.x1 - square.x0, square.y1 - square.y0) < max(frame.x1, frame.y1)
    return square if smaller else frame
