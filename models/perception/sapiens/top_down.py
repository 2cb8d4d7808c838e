"""Sapiens on videos: persons are detected, one of them is the clip's character, and the network looks at that one."""

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
    """A network that finds keypoints in a box, and DWPose's detector of persons, which finds the boxes."""

    def __init__(self, pose: HeatmapPose, detector_path: Path, *, device: torch.device | str = "cpu") -> None:
        """Open the detector, `yolox_l.onnx`.

        Raises:
            CheckpointError: the file is absent, damaged or of another network, or onnxruntime is not installed.
        """
        self.pose = pose
        self.detector = PersonDetector(detector_path, device=device)

    def keypoints(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(T, 133, 3): x, y in pixels of the frames, score 0–1; of the clip's character, all 0 where it is not seen."""
        return self.people(frames_THWC).keypoints

    def people(self, frames_THWC: NDArray[np.uint8]) -> ClipPeople:
        """The clip's character, as `models.perception.people.character` chooses it, and the number of persons."""
        height, width = frames_THWC.shape[1:3]
        persons = [
            Persons(
                boxes=found[:, :4],
                scores=found[:, 4],
                # Only the chosen one is looked at closely; who is who is told from the boxes.
                keypoints=np.zeros((len(found), NUM_KEYPOINTS, 3), np.float32),
            )
            for found in self.detector.boxes(frames_THWC)
        ]
        boxes = np.full((len(frames_THWC), 4), np.nan, np.float32)
        for t, n in enumerate(character(persons, width_px=width, height_px=height)):
            if n >= 0:
                boxes[t] = persons[t].boxes[n]
        num_people = np.array([len(found.boxes) for found in persons], np.int32)
        return ClipPeople(keypoints=self.pose.keypoints(frames_THWC, boxes), num_people=num_people)
