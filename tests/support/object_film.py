"""A film of a puppet with two objects, and the rows of its clips, for tests of prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.masks.boxes import bounding_boxes
from models.puppets import render, sample_interaction
from models.video.encode import write_h264
from stages.base import Row
from stages.io.clip_reader import ClipReader, DecodeConfig

FPS = 12
LENGTH = 16
DECODE = DecodeConfig(short_side_px=128)
NAMES = ("balloon", "ball")


class Film:
    """Three clips of a shot, the true masks of its objects, and a second shot of one grey."""

    def __init__(self, path: Path, size_px: tuple[int, int] = (144, 192)) -> None:
        spec = sample_interaction(3_000_007, kind="held", size_px=size_px, duration_seconds=8.0)
        drawn = list(render(spec, fps=FPS, num_frames=3 * LENGTH))
        self.truth = {name: np.stack([frame.object_masks[name] for frame in drawn]) for name in NAMES}
        self.uri = str(path)
        grey = np.full((8, *size_px, 3), 90, np.uint8)
        write_h264(path, np.concatenate([np.stack([frame.rgb for frame in drawn]), grey]), fps=FPS)
        self.reader = ClipReader(DECODE)
        self.facts = self.reader.inspect(self.uri)

    def row(self, number: int, *objects: dict[str, Any], **changes: Any) -> Row:
        """Row of a clip after the stage `decode`."""
        clip = {
            **{name: self.facts[name] for name in ("size_bytes", "fingerprint", "width_px", "height_px")},
            "uri": self.uri,
            "fps": float(FPS),
            "frame_step": 1,
            "num_frames": LENGTH,
            "start_seconds": number * LENGTH / FPS,
            "shot_start_seconds": self.facts["shot_starts_seconds"][0],
            "shot_end_seconds": self.facts["shot_ends_seconds"][0],
        }
        decoded = self.reader.frames(clip)
        height, width = decoded.frames.shape[1:3]
        columns = {"frames": decoded.frames, "frame_seconds": decoded.frame_seconds, "objects": list(objects)}
        return {**clip, **columns, "work_width_px": width, "work_height_px": height, **changes}

    def prompt(self, name: str, frame: int, **changes: Any) -> dict[str, Any]:
        box = bounding_boxes(self.truth[name][frame : frame + 1])[0].astype(float).tolist()
        return {"object_id": name, "seconds": frame / FPS, "box": box, "points": None, **changes}

    def true_masks(self, name: str, number: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        masks = self.truth[name][number * LENGTH : (number + 1) * LENGTH]
        size_px = (shape[2], shape[1])
        resized = [cv2.resize(mask.astype(np.float32), size_px, interpolation=cv2.INTER_AREA) for mask in masks]
        return np.stack(resized) >= 0.5


def iou(masks: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((masks & other).sum() / (masks | other).sum())
