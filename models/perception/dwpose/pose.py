"""DWPose (arXiv:2307.15880) and RTMW (arXiv:2407.08634): person detection, then 133 keypoints per person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.perception.dwpose.detector import PersonDetector
from models.perception.dwpose.simcc import DWPOSE, SimccForm, SimccPose
from models.perception.joints_of_others import joints_of_others
from models.perception.people import MAX_POSED, ClipPeople, Persons, character
from models.pose.skeleton import NUM_KEYPOINTS


class DwposePose:
    """DWPose from its published ONNX files, `yolox_l.onnx` and `dw-ll_ucoco_384.onnx`.

    `form`: of the second file, for another network of this kind.
    """

    def __init__(
        self,
        detector_path: Path,
        pose_path: Path,
        *,
        form: SimccForm = DWPOSE,
        device: torch.device | str = "cpu",
    ) -> None:
        """Open the files. Logs a warning if onnxruntime cannot use a requested CUDA device.

        Raises:
            CheckpointError: a file is absent, damaged or of another network, or onnxruntime is not installed.
        """
        self.detector = PersonDetector(detector_path, device=device)
        self.pose = SimccPose(pose_path, form=form, device=device)

    def keypoints(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Keypoints (T, 133, 3) of the clip's character: x, y in pixels, score 0–1; all 0 in frames without it."""
        return self.people(frames_THWC).keypoints

    def people(self, frames_THWC: NDArray[np.uint8]) -> ClipPeople:
        """Keypoints of the clip's character (see `models.perception.people.character`) and number of persons."""
        height, width = frames_THWC.shape[1:3]
        boxes = self.detector.boxes(frames_THWC)
        persons = self._posed(frames_THWC, boxes)
        chosen = character(persons, width_px=width, height_px=height)
        keypoints = np.zeros((len(frames_THWC), NUM_KEYPOINTS, 3), np.float32)
        of_others = np.zeros(keypoints.shape[:2], bool)
        for t in np.flatnonzero(chosen >= 0):
            keypoints[t] = persons[t].keypoints[chosen[t]]
            of_others[t] = joints_of_others(keypoints[t], np.delete(persons[t].keypoints, chosen[t], axis=0))
        num_people = np.array([len(boxes_N5) for boxes_N5 in boxes], np.int32)
        return ClipPeople(keypoints=keypoints, num_people=num_people, of_others=of_others)

    def persons(self, frames_THWC: NDArray[np.uint8]) -> list[Persons]:
        """Persons of each frame by descending score, limited to the `MAX_POSED` largest.

        Frames without a detection have no persons. (The published code instead treats the whole picture as a person,
        and the network predicts keypoints for any input.)
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
