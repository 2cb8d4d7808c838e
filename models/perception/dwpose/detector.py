"""Person detection with YOLOX as published with DWPose (`yolox_l.onnx`)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.perception.onnx_session import OnnxNetwork

SIDE_PX = 640
FILL = 114
"""Padding value below or to the right of a non-square frame."""
STRIDES = (8, 16, 32)
NUM_CLASSES = 80
"""COCO classes; class 0 is person."""
MAX_IOU = 0.45
MIN_SCORE = 0.3


def _grid() -> NDArray[np.float32]:
    """(8400, 3) column, row and stride of each output cell of the network."""
    cells = []
    for stride in STRIDES:
        side = SIDE_PX // stride
        row, column = np.mgrid[:side, :side].reshape(2, -1)
        cells.append(np.stack([column, row, np.full_like(row, stride)], axis=1))
    return np.concatenate(cells).astype(np.float32)


GRID = _grid()


class PersonDetector:
    """Detector of persons in frames."""

    def __init__(self, path: Path, *, device: torch.device | str = "cpu") -> None:
        """Open the ONNX file.

        Raises:
            CheckpointError: the file is absent, damaged or of another network.
        """
        self.network = OnnxNetwork(
            path,
            input_shape=(3, SIDE_PX, SIDE_PX),
            output_shapes=[(len(GRID), 5 + NUM_CLASSES)],
            device=device,
        )

    def boxes(self, frames_THWC: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Persons (N, 5) of each frame by descending score: x0, y0, x1, y1 in pixels of the frame, score 0–1."""
        height, width = frames_THWC.shape[1:3]
        scale = min(SIDE_PX / height, SIDE_PX / width)
        boxes = []
        for start in range(0, len(frames_THWC), len(self.network.inputs)):
            frames = frames_THWC[start : start + len(self.network.inputs)]
            for planes, frame in zip(self.network.inputs, frames, strict=False):
                letterbox(frame, planes)
            (predictions,) = self.network.run(len(frames))
            boxes += [decode(prediction, scale=scale) for prediction in predictions]
        return boxes


def letterbox(frame_HWC: NDArray[np.uint8], planes: NDArray[np.float32]) -> None:
    """Write an RGB frame to the network's input (3, 640, 640): BGR 0–255, resized to fit, in the top left corner."""
    height, width = frame_HWC.shape[:2]
    scale = min(SIDE_PX / height, SIDE_PX / width)
    inner_height, inner_width = max(int(height * scale), 1), max(int(width * scale), 1)
    resized = cv2.resize(frame_HWC, (inner_width, inner_height), interpolation=cv2.INTER_LINEAR)
    for plane, channel in zip(planes, cv2.split(resized)[::-1], strict=True):
        plane[:inner_height, :inner_width] = channel
    planes[:, inner_height:] = FILL
    planes[:, :inner_height, inner_width:] = FILL


def decode(prediction: NDArray[np.float32], *, scale: float) -> NDArray[np.float32]:
    """Decode one prediction (8400, 85) to persons (N, 5) in pixels of the frame, by descending score.

    A prediction is the centre and the logarithm of the size, both in cells, the objectness, and the class
    probabilities. `scale`: pixels of the input per pixel of the frame. Non-maximum suppression is per class, so other
    classes are ignored.
    """
    scores = prediction[:, 4] * prediction[:, 5]
    kept = np.flatnonzero(scores > MIN_SCORE)
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    cell, stride = GRID[kept, :2], GRID[kept, 2:]
    centre = (prediction[kept, :2] + cell) * stride
    half = np.exp(prediction[kept, 2:4]) * stride / 2
    boxes = np.concatenate([centre - half, centre + half], axis=1) / np.float32(scale)
    persons: NDArray[np.float32] = np.concatenate([boxes, scores[kept, None]], axis=1).astype(np.float32)
    return persons[surviving(persons[:, :4])]


def surviving(boxes_N4: NDArray[np.float32], *, max_iou: float = MAX_IOU) -> NDArray[np.int64]:
    """Non-maximum suppression: indices of boxes that overlap no better kept box by more than `max_iou`.

    Boxes are given best first. As published, box sides include both end pixels (x1 - x0 + 1).
    """
    x0, y0, x1, y1 = boxes_N4.T
    areas = (x1 - x0 + 1) * (y1 - y0 + 1)
    rest = np.arange(len(boxes_N4))
    kept = []
    while len(rest):
        best, rest = rest[0], rest[1:]
        kept.append(best)
        width = np.minimum(x1[best], x1[rest]) - np.maximum(x0[best], x0[rest]) + 1
        height = np.minimum(y1[best], y1[rest]) - np.maximum(y0[best], y0[rest]) + 1
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        rest = rest[shared / (areas[best] + areas[rest] - shared) <= max_iou]
    return np.array(kept, np.int64)
