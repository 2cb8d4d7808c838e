"""Whole-body keypoints of persons in boxes, by RTMPose as distilled for DWPose (`dw-ll_ucoco_384.onnx`)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.perception.onnx_session import OnnxNetwork
from models.pose.skeleton import NUM_KEYPOINTS

WIDTH_PX, HEIGHT_PX = 288, 384
PADDING = 1.25
"""Sides of the crop over those of the person's box."""
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""ImageNet's, named red, green, blue; as published they are applied to blue, green, red."""
BINS_PER_PX = 2
_SIZE = np.array([WIDTH_PX, HEIGHT_PX])


class SimccPose:
    """Keypoints of persons whose boxes are known."""

    def __init__(self, path: Path, *, device: torch.device | str = "cpu") -> None:
        """Open the ONNX file.

        Raises:
            CheckpointError: it is absent, damaged or of another network.
        """
        self.network = OnnxNetwork(
            path,
            input_shape=(3, HEIGHT_PX, WIDTH_PX),
            output_shapes=[(NUM_KEYPOINTS, side * BINS_PER_PX) for side in (WIDTH_PX, HEIGHT_PX)],
            device=device,
        )

    def keypoints(
        self, frames_THWC: NDArray[np.uint8], frame_N: NDArray[np.int64], boxes_N4: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(N, 133, 3): x, y in pixels of the frame, score; person n is in frame `frame_N[n]` at `boxes_N4[n]`."""
        origin, size = windows(boxes_N4)
        found = np.empty((len(boxes_N4), NUM_KEYPOINTS, 3), np.float32)
        for start in range(0, len(found), len(self.network.inputs)):
            batch = range(start, min(start + len(self.network.inputs), len(found)))
            for n, planes in zip(batch, self.network.inputs, strict=False):
                normalise(cut(frames_THWC[frame_N[n]], origin[n], size[n]), planes)
            x, y = self.network.run(len(batch))
            found[batch] = decode(x, y, origin[batch], size[batch])
        return found


def windows(boxes_N4: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First corner and size (N, 2), x and y in pixels of the frame, of what each person's crop shows."""
    boxes = boxes_N4.astype(np.float64)
    width, height = ((boxes[:, 2:] - boxes[:, :2]) * PADDING).T
    width = np.maximum(width, height * (WIDTH_PX / HEIGHT_PX))
    size = np.stack([width, width * (HEIGHT_PX / WIDTH_PX)], axis=1)
    return (boxes[:, :2] + boxes[:, 2:]) / 2 - size / 2, size


def cut(frame_HWC: NDArray[np.uint8], origin: NDArray[np.float64], size: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The crop (384, 288, 3): bilinear, black outside the frame.

    It is the affine warp that DWPose was published with, that of OpenCV 4: places rounded to 1/1024 pixel, then to
    1/32. OpenCV 5 does not round, which moves some keypoints by a bin; and this takes half its time.
    """
    (x_step, y_step), (x0, y0) = size / _SIZE, origin
    # One is rounded as it was there, in two parts, the other in one.
    x = (np.rint(np.arange(WIDTH_PX) * x_step * 1024).astype(np.int64) + round(x0 * 1024) + 16) >> 5
    y = (np.rint((np.arange(HEIGHT_PX) * y_step + y0) * 1024).astype(np.int64) + 16) >> 5
    limits = np.iinfo(np.int16)
    pixels = np.empty((HEIGHT_PX, WIDTH_PX, 2), np.int16)
    pixels[..., 0] = (x >> 5).clip(limits.min, limits.max)
    pixels[..., 1] = (y >> 5).clip(limits.min, limits.max)[:, None]
    fractions = ((y & 31)[:, None] * 32 + (x & 31)).astype(np.uint16)
    crop: NDArray[np.uint8] = cv2.remap(frame_HWC, pixels, fractions, cv2.INTER_LINEAR)
    return crop


def normalise(crop_HWC: NDArray[np.uint8], planes: NDArray[np.float32]) -> None:
    """Write a crop, RGB, as the network's input (3, 384, 288), BGR."""
    for plane, channel, mean, std in zip(planes, cv2.split(crop_HWC)[::-1], MEAN, STD, strict=True):
        np.multiply(channel, np.float32(1 / std), out=plane)
        np.subtract(plane, np.float32(mean / std), out=plane)


def decode(
    x_NKB: NDArray[np.float32],
    y_NKB: NDArray[np.float32],
    origin: NDArray[np.float64],
    size: NDArray[np.float64],
) -> NDArray[np.float32]:
    """(N, 133, 3) from what the network gives for each column and each row, two bins to a pixel (SimCC,
    arXiv:2107.03332).

    A score is the lower of the two maxima; a keypoint without a positive one lies, as published, half a pixel before
    the crop, and scores 0.
    """
    bins = np.stack([x_NKB.argmax(axis=2), y_NKB.argmax(axis=2)], axis=2)
    score = np.minimum(
        *(
            np.take_along_axis(values, bins[..., axis, None], axis=2)[..., 0]
            for axis, values in enumerate((x_NKB, y_NKB))
        )
    )
    bins[score <= 0] = -1
    xy = bins / BINS_PER_PX / _SIZE * size[:, None] + origin[:, None]
    return np.concatenate([xy, np.clip(score, 0, 1)[..., None]], axis=2).astype(np.float32)
