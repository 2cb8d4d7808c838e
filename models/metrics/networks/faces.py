"""Faces of frames: detection by YuNet, and identity by AdaFace."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.common.digest import CheckpointError
from models.face.control import similarity
from models.perception.letterbox import Letterbox
from models.perception.onnx_session import OnnxNetwork

DETECTOR_SIDE_PX = 640
"""Side of the squares for which the detector's file is made."""
MIN_SCORE = 0.6
MAX_OVERLAP = 0.3
"""Thresholds of score and overlap in the detector's published code."""
_MAX_CANDIDATES = 5000

FACE_SIDE_PX = 112
FACE_POINTS_52 = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Eyes, nose and corners of the mouth in an aligned face, from left to right; ArcFace's template (Deng et al. 2019)."""
EMBEDDING_WIDTH = 512


class FaceDetector:
    """YuNet (Wu et al. 2023) on frames that are fitted into 640 × 640."""

    def __init__(self, path: Path) -> None:
        """Open the ONNX file and run it once.

        Raises:
            CheckpointError: the file is absent, damaged, or of another network.
        """
        if not path.is_file():
            raise CheckpointError(f"no ONNX file at {path}")
        side = (DETECTOR_SIDE_PX, DETECTOR_SIDE_PX)
        try:
            self._detector = cv2.FaceDetectorYN.create(str(path), "", side, MIN_SCORE, MAX_OVERLAP, _MAX_CANDIDATES)
            self._detector.detect(np.zeros((*side, 3), np.uint8))
        except cv2.error as error:
            raise CheckpointError(
                f"cannot use {path} as YuNet's ONNX file: {error.err or error}. It is damaged or of another network."
            ) from error

    def points(self, frame_HWC: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Eyes, nose and corners of the mouth (5, 2) of the largest face of a uint8 RGB frame, in its pixels and from
        left to right; None without a face.
        """
        height, width = frame_HWC.shape[:2]
        letterbox = Letterbox.of_frame(width_px=width, height_px=height, side_px=DETECTOR_SIDE_PX)
        _, faces = self._detector.detect(np.ascontiguousarray(letterbox.cut(frame_HWC)[..., ::-1]))
        if faces is None or not len(faces):
            return None
        largest = faces[np.argmax(faces[:, 2] * faces[:, 3])]
        return letterbox.points_to_image(largest[4:14].reshape(5, 2))


class FaceRecognition:
    """Detector, and embeddings of the largest face of each frame by AdaFace (Kim et al. 2022)."""

    def __init__(self, detector: Path, recogniser: Path | None = None, *, device: str = "cpu") -> None:
        """Open the ONNX files; without `recogniser`, faces are detected only.

        Raises:
            CheckpointError: onnxruntime is not installed, or a file is absent, damaged, or of another network.
        """
        self._detector = FaceDetector(detector)
        self._recogniser: OnnxNetwork | None = None
        if recogniser is not None:
            shape = (3, FACE_SIDE_PX, FACE_SIDE_PX)
            self._recogniser = OnnxNetwork(
                recogniser, input_shape=shape, output_shapes=[(EMBEDDING_WIDTH,)], device=device
            )

    def faces(self, frames_THWC: NDArray[np.uint8]) -> tuple[NDArray[np.float32] | None, NDArray[np.bool_]]:
        """Embeddings (T, 512) of length 1, which are 0 without a face, and whether a face was detected (T); the
        embeddings are None without a recogniser.
        """
        points = [self._detector.points(frame) for frame in frames_THWC]
        detected = np.array([found is not None for found in points], bool)
        if self._recogniser is None:
            return None, detected
        embeddings = np.zeros((len(frames_THWC), EMBEDDING_WIDTH), np.float32)
        shown = [(index, found) for index, found in enumerate(points) if found is not None]
        batch_size = len(self._recogniser.inputs)
        for first in range(0, len(shown), batch_size):
            batch = shown[first : first + batch_size]
            for place, (index, found) in enumerate(batch):
                blue_green_red = aligned(frames_THWC[index], found)[..., ::-1].astype(np.float32)
                self._recogniser.inputs[place] = (blue_green_red / 127.5 - 1).transpose(2, 0, 1)
            (raw,) = self._recogniser.run(len(batch))
            lengths = np.linalg.norm(raw, axis=1, keepdims=True)
            embeddings[[index for index, _ in batch]] = raw / np.maximum(lengths, 1e-12)
        return embeddings, detected


def aligned(frame_HWC: NDArray[np.uint8], points_52: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Aligned face (112, 112, 3) by the similarity transform of its points onto `FACE_POINTS_52`; black outside the
    frame.
    """
    transform = similarity(points_52, FACE_POINTS_52)
    face: NDArray[np.uint8] = cv2.warpAffine(frame_HWC, transform, (FACE_SIDE_PX, FACE_SIDE_PX))
    return face
