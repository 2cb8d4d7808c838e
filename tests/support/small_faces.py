"""Prepared clips of moving heads, and of their twins: the same expressions on a head of another colour."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from small_prepared import COLUMNS, FPS, clip_row

from models.pose.skeleton import FACE, NUM_KEYPOINTS
from models.video.encode import write_h264
from pipelines.engine.ledger import Ledger
from stages.io.storage import Storage

LEFT, RIGHT = (200, 60, 60), (60, 60, 200)
"""Colours of the halves of the corpus' heads, as seen in the picture; the background is black."""
TWIN_LEFT, TWIN_RIGHT = (200, 200, 60), (60, 200, 60)


def write_faces(
    folder: Path,
    *,
    num_clips: int,
    twins: bool = False,
    num_frames: int = 10,
    size_px: tuple[int, int] = (96, 96),
    faceless: Collection[int] = (),
) -> Path:
    """A prepared dataset. Heads are ellipses, wider in the twins, which also stand elsewhere in the picture. The clips
    `faceless` have no keypoints.
    """
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    ledger = Ledger(Storage(str(folder / "prepared")), "clip_id")
    for index in range(num_clips):
        path = folder / "videos" / f"{index}.mp4"
        drawn = [head(index, number, twins=twins, size_px=size_px) for number in range(num_frames)]
        write_h264(path, (frame for frame, _ in drawn), fps=FPS)
        row = clip_row(path, clip_id=f"clip-{index:03d}", num_frames=num_frames, size_px=size_px)
        keypoints = np.stack([points for _, points in drawn]) * (index not in faceless)
        ledger.commit({**row, "keypoints": keypoints}, pa.schema(list(COLUMNS.items())))
    ledger.compact()
    return folder / "prepared"


def head(
    index: int, number: int, *, twins: bool, size_px: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Frame `number` of a clip and its keypoints, of which only the face has scores."""
    x = 40.0 + index + number if not twins else 56.0
    y, width, height = (44.0, 14.0, 20.0) if not twins else (50.0, 13.0, 16.0)
    frame = np.zeros((*size_px, 3), np.uint8)
    inside = np.zeros(size_px, np.uint8)
    cv2.ellipse(inside, (round(x), round(y)), (round(width), round(height)), 0, 0, 360, 255, cv2.FILLED)
    is_left = np.arange(size_px[1])[None] < round(x)
    for side, colour in zip((is_left, ~is_left), (TWIN_LEFT, TWIN_RIGHT) if twins else (LEFT, RIGHT), strict=True):
        frame[(inside > 0) & side] = colour
    keypoints = np.zeros((NUM_KEYPOINTS, 3), np.float32)
    keypoints[FACE] = np.column_stack([np.array([x, y]) + landmarks() * [width, height], np.ones(68)])
    return frame, keypoints


def landmarks() -> NDArray[np.float64]:
    """(68, 2) in units of the head's half axes: chin line from the left of the picture to the right, brows, nose, eyes,
    outer and inner lips.
    """
    chin = np.pi * (1 - np.arange(17) / 16)
    ring = 2 * np.pi * np.arange(12) / 12
    line = np.linspace(0, 1, 5)
    parts = [
        np.column_stack([np.cos(chin), np.sin(chin)]),
        *(np.column_stack([side * 0.4 + (line - 0.5) * 0.4, np.full(5, -0.6)]) for side in (-1, 1)),
        np.column_stack([np.zeros(4), np.linspace(-0.3, 0.1, 4)]),
        np.column_stack([(line - 0.5) * 0.3, np.full(5, 0.2)]),
        *(
            np.column_stack([side * 0.4 + 0.15 * np.cos(ring[::2]), -0.35 + 0.08 * np.sin(ring[::2])])
            for side in (-1, 1)
        ),
        np.column_stack([0.35 * np.cos(ring), 0.5 + 0.12 * np.sin(ring)]),
        np.column_stack([0.2 * np.cos(ring[:8] * 1.5), 0.5 + 0.06 * np.sin(ring[:8] * 1.5)]),
    ]
    return np.concatenate(parts)
