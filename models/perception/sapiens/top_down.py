"""Sapiens on videos: person detection, selection of the clip's character, and its keypoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.perception.dwpose.detector import PersonDetector
from models.perception.people import ClipPeople, Persons, character
from models.perception.sapiens.pose import HeatmapPose
from models.pose.skeleton import NUM_KEYPOINTS


class TopDownPose:
    """Keypoint network for boxes, combined with DWPose's person detector."""

    def __init__(self, pose: HeatmapPose, detector_path: Path, *, device: torch.device | str = "cpu") -> None:
        """Open the detector, `yolox_l.onnx`.

        Raises:
            CheckpointError: the file is absent, damaged or of another network, or onnxruntime is not installed.
        """
        self.pose = pose
        self.detector = PersonDetector(detector_path, device=device)

    def keypoints(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Keypoints (T, 133, 3) of the clip's character: x, y in pixels, score 0–1; all 0 in frames without it."""
        return self.people(frames_THWC).keypoints

    def people(self, frames_THWC: NDArray[np.uint8]) -> ClipPeople:
        """Keypoints of the clip's character (see `models.perception.people.character`) and number of persons."""
        height, width = frames_THWC.shape[1:3]
        persons = [
            Persons(
                boxes=boxes_N5[:, :4],
                scores=boxes_N5[:, 4],
                # Tracking uses boxes only; keypoints are estimated only for the chosen person.
                keypoints=np.zeros((len(boxes_N5), NUM_KEYPOINTS, 3), np.float32),
            )
            for boxes_N5 in self.detector.boxes(frames_THWC)
        ]
        boxes = np.full((len(frames_THWC), 4), np.nan, np.float32)
        for t, n in enumerate(character(persons, width_px=width, height_px=height)):
            if n >= 0:
                boxes[t] = persons[t].boxes[n]
        num_people = np.array([len(frame.boxes) for frame in persons], np.int32)
        return ClipPeople(keypoints=self.pose.keypoints(frames_THWC, boxes), num_people=num_people)
