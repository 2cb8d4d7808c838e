"""Persons in frames, by YOLOX as published with DWPose (`yolox_l.onnx`)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.perception.onnx_session import OnnxNetwork

SIDE_PX = 640
FILL = 114
"""Value of the bars below or to the right of a frame that is not square."""
STRIDES = (8, 16, 32)
NUM_CLASSES = 80
"""COCO's; a person is the first."""
MAX_IOU = 0.45
MIN_SCORE = 0.3


def _grid() -> NDArray[np.float32]:
    """(8400, 3): column, row and stride of each cell that the network predicts a box for."""
    cells = []
    for stride in STRIDES:
        side = SIDE_PX // stride
        row, column = np.mgrid[:side, :side].reshape(2, -1)
        cells.append(np.stack([column, row, np.full_like(row, stride)], axis=1))
    return np.concatenate(cells).astype(np.float32)


GRID = _grid()


class PersonDetector:
    """Boxes of persons."""

    def __init__(self, path: Path, *, device: torch.device | str = "cpu") -> None:
        """Open the ONNX file.

        Raises:
            CheckpointError: it is absent, damaged or of another network.
        """
        self.network = OnnxNetwork(
            path,
            input_shape=(3, SIDE_PX, SIDE_PX),
            output_shapes=[(len(GRID), 5 + NUM_CLASSES)],
            device=device,
        )

    def boxes(self, frames_THWC: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """For each frame its persons (N, 5), the surest first: x0, y0, x1, y1 in pixels of the frame, score 0–1."""
        height, width = frames_THWC.shape[1:3]
        scale = min(SIDE_PX / height, SIDE_PX / width)
        found = []
        for start in range(0, len(frames_THWC), len(self.network.inputs)):
            frames = frames_THWC[start : start + len(self.network.inputs)]
            for planes, frame in zip(self.network.inputs, frames, strict=False):
                letterbox(frame, planes)
            (predictions,) = self.network.run(len(frames))
            found += [decode(prediction, scale=scale) for prediction in predictions]
        return found


def letterbox(frame_HWC: NDArray[np.uint8], planes: NDArray[np.float32]) -> None:
    """Write a frame, RGB, as the network's input (3, 640, 640): BGR 0–255, resized to fit, in the top left corner."""
    height, width = frame_HWC.shape[:2]
    scale = min(SIDE_PX / height, SIDE_PX / width)
    inner_height, inner_width = max(int(height * scale), 1), max(int(width * scale), 1)
    resized = cv2.resize(frame_HWC, (inner_width, inner_height), interpolation=cv2.INTER_LINEAR)
    for plane, channel in zip(planes, cv2.split(resized)[::-1], strict=True):
        plane[:inner_height, :inner_width] = channel
    planes[:, inner_height:] = FILL
    planes[:, :inner_height, inner_width:] = FILL


def decode(prediction: NDArray[np.float32], *, scale: float) -> NDArray[np.float32]:
    """Persons (N, 5) in pixels of the frame, the surest first, of one prediction (8400, 85).

    A prediction is centre and the logarithm of the size in cells, the probability of an object, and those of the
    classes. `scale`: pixels of the input per pixel of the frame. Suppression is within a class, so that other classes
    do not matter here.
    """
    scores = prediction[:, 4] * prediction[:, 5]
    sure = np.flatnonzero(scores > MIN_SCORE)
    sure = sure[np.argsort(-scores[sure], kind="stable")]
    cell, stride = GRID[sure, :2], GRID[sure, 2:]
    centre = (prediction[sure, :2] + cell) * stride
    half = np.exp(prediction[sure, 2:4]) * stride / 2
    boxes = np.concatenate([centre - half, centre + half], axis=1) / np.float32(scale)
    found: NDArray[np.float32] = np.concatenate([boxes, scores[sure, None]], axis=1).astype(np.float32)
    return found[surviving(found[:, :4])]


def surviving(boxes_N4: NDArray[np.float32], *, max_iou: float = MAX_IOU) -> NDArray[np.int64]:
    """Indices of the boxes that no better box overlaps by more than `max_iou`; best first, as they are given.

    As published, sides are one pixel longer than their ends are apart.
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
