"""DWPose (arXiv:2307.15880): a detector of persons, then 133 keypoints for each of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.perception.dwpose.detector import PersonDetector
from models.perception.dwpose.simcc import SimccPose
from models.perception.people import ClipPeople, Persons, character
from models.pose.skeleton import NUM_KEYPOINTS

MAX_POSED = 8
"""In a crowd, only the persons with the largest boxes get keypoints; all are counted."""


class DwposePose:
    """The published pair of ONNX files, `yolox_l.onnx` and `dw-ll_ucoco_384.onnx`."""

    def __init__(self, detector_path: Path, pose_path: Path, *, device: torch.device | str = "cpu") -> None:
        """Open the files. A CUDA device that onnxruntime cannot use is warned of.

        Raises:
            CheckpointError: one is absent, damaged or of another network, or onnxruntime is not installed.
        """
        self.detector = PersonDetector(detector_path, device=device)
        self.pose = SimccPose(pose_path, device=device)

    def keypoints(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(T, 133, 3): x, y in pixels of the frames, score 0–1; of the clip's character, all 0 where it is not seen."""
        return self.people(frames_THWC).keypoints

    def people(self, frames_THWC: NDArray[np.uint8]) -> ClipPeople:
        """The clip's character, as `models.perception.people.character` chooses it, and the number of persons."""
        height, width = frames_THWC.shape[1:3]
        boxes = self.detector.boxes(frames_THWC)
        persons = self._posed(frames_THWC, boxes)
        chosen = character(persons, width_px=width, height_px=height)
        keypoints = np.zeros((len(frames_THWC), NUM_KEYPOINTS, 3), np.float32)
        for t in np.flatnonzero(chosen >= 0):
            keypoints[t] = persons[t].keypoints[chosen[t]]
        return ClipPeople(keypoints=keypoints, num_people=np.array([len(found) for found in boxes], np.int32))

    def persons(self, frames_THWC: NDArray[np.uint8]) -> list[Persons]:
        """All persons of each frame, the surest first; in a crowd, the `MAX_POSED` largest.

        A frame in which nobody is found has none. (The published code then takes the whole picture for a person,
        and the network finds keypoints in anything.)
        """
        return self._posed(frames_THWC, self.detector.boxes(frames_THWC))

    def _posed(self, frames_THWC: NDArray[np.uint8], boxes_T: list[NDArray[np.float32]]) -> list[Persons]:
        kept = [_largest(boxes) for boxes in boxes_T]
        frame_N = np.repeat(np.arange(len(kept)), [len(boxes) for boxes in kept])
        every = np.concatenate([np.empty((0, 5), np.float32), *kept])
        keypoints = self.pose.keypoints(frames_THWC, frame_N, every[:, :4])
        return [
            Persons(boxes=boxes[:, :4], scores=boxes[:, 4], keypoints=keypoints[frame_N == t])
            for t, boxes in enumerate(kept)
        ]


def _largest(boxes_N5: NDArray[np.float32]) -> NDArray[np.float32]:
    areas = (boxes_N5[:, 2] - boxes_N5[:, 0]) * (boxes_N5[:, 3] - boxes_N5[:, 1])
    return boxes_N5[np.sort(np.argsort(-areas, kind="stable")[:MAX_POSED])]
