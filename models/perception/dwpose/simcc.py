"""Whole-body keypoints of persons in boxes with networks of RTMPose's family, which classify coordinates (SimCC)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.perception.onnx_session import OnnxNetwork
from models.pose.skeleton import NUM_KEYPOINTS

WIDTH_PX, HEIGHT_PX = 288, 384
PADDING = 1.25
"""Size of the crop relative to the person's box."""
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""ImageNet's, of the network's first to third channel."""
BINS_PER_PX = 2
_SIZE = np.array([WIDTH_PX, HEIGHT_PX])


@dataclass(frozen=True, kw_only=True, slots=True)
class SimccForm:
    """How a published network reads colours and scales its outputs.

    Args:
        is_bgr: the input's channels are blue, green, red.
        top_score: output at the place of a point that is certain.
    """

    is_bgr: bool
    top_score: float


DWPOSE = SimccForm(is_bgr=True, top_score=1.0)
"""`dw-ll_ucoco_384.onnx`, as its published code runs it."""
RTMW = SimccForm(is_bgr=False, top_score=10.0)
"""RTMW-l (arXiv:2407.08634) as MMPose runs it.

It is trained without the factor of 10 that others of the family have in their loss, so its outputs are ten times as
large. rtmlib passes it BGR, which it was not trained on.
"""


class SimccPose:
    """Keypoint estimator for persons in given boxes."""

    def __init__(self, path: Path, *, form: SimccForm = DWPOSE, device: torch.device | str = "cpu") -> None:
        """Open the ONNX file.

        Raises:
            CheckpointError: the file is absent, damaged or of another network.
        """
        self.form = form
        self.network = OnnxNetwork(
            path,
            input_shape=(3, HEIGHT_PX, WIDTH_PX),
            output_shapes=[(NUM_KEYPOINTS, side * BINS_PER_PX) for side in (WIDTH_PX, HEIGHT_PX)],
            device=device,
        )

    def keypoints(
        self, frames_THWC: NDArray[np.uint8], frame_N: NDArray[np.int64], boxes_N4: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Keypoints (N, 133, 3), as x, y in pixels and score, of the persons at `boxes_N4[n]` in frame `frame_N[n]`."""
        origin, size = windows(boxes_N4)
        keypoints = np.empty((len(boxes_N4), NUM_KEYPOINTS, 3), np.float32)
        for start in range(0, len(keypoints), len(self.network.inputs)):
            batch = range(start, min(start + len(self.network.inputs), len(keypoints)))
            for n, planes in zip(batch, self.network.inputs, strict=False):
                normalise(cut(frames_THWC[frame_N[n]], origin[n], size[n]), planes, is_bgr=self.form.is_bgr)
            x, y = self.network.run(len(batch))
            keypoints[batch] = decode(x, y, origin[batch], size[batch], top_score=self.form.top_score)
        return keypoints


def windows(boxes_N4: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Top left corner and size (N, 2) of each person's crop, x and y in pixels of the frame."""
    boxes = boxes_N4.astype(np.float64)
    width, height = ((boxes[:, 2:] - boxes[:, :2]) * PADDING).T
    width = np.maximum(width, height * (WIDTH_PX / HEIGHT_PX))
    size = np.stack([width, width * (HEIGHT_PX / WIDTH_PX)], axis=1)
    return (boxes[:, :2] + boxes[:, 2:]) / 2 - size / 2, size


def cut(frame_HWC: NDArray[np.uint8], origin: NDArray[np.float64], size: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Cut a crop (384, 288, 3): bilinear, black outside the frame.

    Equivalent to the affine warp of OpenCV 4, which DWPose was published with: coordinates are rounded to 1/1024 pixel,
    then to 1/32. The warp of OpenCV 5 does not round, which shifts some keypoints by a bin, and takes twice as long.
    """
    (x_step, y_step), (x0, y0) = size / _SIZE, origin
    # OpenCV 4 rounds x as a sum of two rounded parts, and y in one step.
    x = (np.rint(np.arange(WIDTH_PX) * x_step * 1024).astype(np.int64) + round(x0 * 1024) + 16) >> 5
    y = (np.rint((np.arange(HEIGHT_PX) * y_step + y0) * 1024).astype(np.int64) + 16) >> 5
    limits = np.iinfo(np.int16)
    pixels = np.empty((HEIGHT_PX, WIDTH_PX, 2), np.int16)
    pixels[..., 0] = (x >> 5).clip(limits.min, limits.max)
    pixels[..., 1] = (y >> 5).clip(limits.min, limits.max)[:, None]
    fractions = ((y & 31)[:, None] * 32 + (x & 31)).astype(np.uint16)
    crop: NDArray[np.uint8] = cv2.remap(frame_HWC, pixels, fractions, cv2.INTER_LINEAR)
    return crop


def normalise(crop_HWC: NDArray[np.uint8], planes: NDArray[np.float32], *, is_bgr: bool) -> None:
    """Write an RGB crop to the network's input (3, 384, 288), normalised."""
    channels = cv2.split(crop_HWC)
    for plane, channel, mean, std in zip(planes, channels[::-1] if is_bgr else channels, MEAN, STD, strict=True):
        np.multiply(channel, np.float32(1 / std), out=plane)
        np.subtract(plane, np.float32(mean / std), out=plane)


def decode(
    x_NKB: NDArray[np.float32],
    y_NKB: NDArray[np.float32],
    origin: NDArray[np.float64],
    size: NDArray[np.float64],
    *,
    top_score: float,
) -> NDArray[np.float32]:
    """Decode SimCC outputs (arXiv:2107.03332), two bins per pixel along each axis, to keypoints (N, 133, 3).

    The score is the lower of the two maxima over `top_score`, at most 1. As in the published code, a keypoint without a
    positive score is at half a pixel before the crop's corner and scores 0.
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
    return np.concatenate([xy, np.clip(score / top_score, 0, 1)[..., None]], axis=2).astype(np.float32)
