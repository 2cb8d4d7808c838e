"""Structured depth: depth inside the skeleton only, as 16-bit images (Animate Anyone 2, arXiv:2502.06145, 3.4).

Smaller is nearer. All frames of a clip share one scale, so that their depths are comparable:
depth = depth_min + (value - 1) / 65534 * (depth_max - depth_min), and value 0 means no depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pose.extent import CONFIDENT_SCORE, character_size_px
from models.pose.overlay import rasterise_skeleton

LINE_WIDTH_SHARE = 0.02
"""Width of a limb relative to the character's size: that of an OpenPose skeleton of a whole person."""
STEPS = 65534
"""Number of steps between the nearest (value 1) and the farthest depth (value 65535) of a clip."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CodedDepth:
    """Encoded depth of a clip, as stored in a row."""

    png: list[bytes]
    """(T) 16-bit grey PNG files."""
    minimum: float
    """Depth of value 1; 0.0 if the clip has no depth."""
    maximum: float
    """Depth of value 65535; 0.0 if the clip has no depth."""


def skeleton_masks(
    keypoints: NDArray[np.float32],
    size: tuple[int, int],
    *,
    line_width_share: float,
    min_score: float = CONFIDENT_SCORE,
) -> NDArray[np.bool_]:
    """Masks (T, H, W) of the skeletons of a clip, keypoints (T, 133, 3).

    The line width of the clip is `line_width_share` of the character's size, at least one pixel.
    """
    width_px = max(1.0, line_width_share * character_size_px(keypoints, min_score=min_score))
    masks = np.empty((len(keypoints), *size), np.bool_)
    for t, frame in enumerate(keypoints):
        masks[t] = rasterise_skeleton(frame, size, line_width_px=width_px, min_score=min_score)
    return masks


def encode_depth(depth: NDArray[np.float32], masks: NDArray[np.bool_]) -> CodedDepth:
    """Encode the depth (T, H, W) inside the masks (T, H, W), scaled to its range there.

    Raises:
        ValueError: the shapes differ, or depth inside the masks is not finite.
    """
    if depth.shape != masks.shape or depth.ndim != 3:
        raise ValueError(f"depth and masks must be (T, H, W) alike, got {depth.shape} and {masks.shape}")
    inside = depth[masks].astype(np.float64)
    if not np.isfinite(inside).all():
        raise ValueError(
            f"depth must be finite inside the masks, got {(~np.isfinite(inside)).sum()} pixels that are not"
        )
    minimum, maximum = (float(inside.min()), float(inside.max())) if len(inside) else (0.0, 0.0)
    values = np.zeros(depth.shape, np.uint16)
    values[masks] = 1 + np.rint((inside - minimum) * (STEPS / ((maximum - minimum) or 1.0)))
    png = [_encode_png(frame) for frame in values]
    return CodedDepth(png=png, minimum=minimum, maximum=maximum)


def decode_depth(png: Sequence[bytes], *, minimum: float, maximum: float) -> NDArray[np.float32]:
    """Decode depth (T, H, W), NaN where there is none; the error is at most half a step.

    Raises:
        ValueError: `png` is empty, a frame is not a 16-bit grey PNG, or sizes differ; the message names the frame.
    """
    if len(png) == 0:
        raise ValueError("cannot decode 0 frames of depth: their size is unknown; expected one PNG per frame")
    frames = [_decode_png(data, t) for t, data in enumerate(png)]
    for t, frame in enumerate(frames):
        if frame.shape != frames[0].shape:
            raise ValueError(f"depth of frame {t} has size {frame.shape}, but frame 0 has {frames[0].shape}")
    values = np.stack(frames)
    depth = minimum + (values - 1.0) * ((maximum - minimum) / STEPS)
    depth[values == STEPS + 1] = maximum  # exact, where the sum may round if |minimum| is far larger than the range
    return np.where(values == 0, np.nan, depth).astype(np.float32)


def _encode_png(frame: NDArray[np.uint16]) -> bytes:
    ok, data = cv2.imencode(".png", frame)
    if not ok:
        raise ValueError(f"OpenCV could not code a depth frame of size {frame.shape} as PNG")
    return bytes(data.tobytes())


def _decode_png(data: bytes, t: int) -> NDArray[np.uint16]:
    picture = np.frombuffer(data, np.uint8)
    frame: NDArray[np.uint16] | None = cv2.imdecode(picture, cv2.IMREAD_UNCHANGED) if data else None
    if frame is None or frame.dtype != np.uint16 or frame.ndim != 2:
        got = "no image" if frame is None else f"{frame.dtype} {frame.shape}"
        raise ValueError(f"depth of frame {t} must be a 16-bit grey PNG, got {got}")
    return frame
