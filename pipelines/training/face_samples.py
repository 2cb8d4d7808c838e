"""Face control of training samples (X-Dyna, arXiv 2501.10021, §3.3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.animation.signals import CONTROLS, FACE_CONTROL
from models.face.control import CHANNELS, FaceForm, face_control
from models.pose.skeleton import mirror_keypoints, scale_keypoints
from models.training.recipe import SamplingConfig
from models.training.sample_spec import SampleSpec
from pipelines.training.clip_source import ClipSource
from pipelines.training.corpus import Corpus
from pipelines.training.data_config import TrainingDataConfig
from stages.base import Row
from stages.io.storage import Storage
from stages.outcome import BadRow


class FaceControls:
    """Draws the signals `FACE_CONTROL` and `CONTROLS` of samples. Owns a decoder process for the twins.

    Faces are those of the clips' twins, or of the samples' own pictures where the corpus has none, placed where the
    sample's skeletons have their faces. Without `SamplingConfig.face_control`, and in samples in which no frame shows a
    usable face, the pictures are black and only the body controls. They are black for scenery too.

    Args:
        form: what is drawn of the face.
        keep_bytes: cache for the twins.
    """

    def __init__(
        self,
        corpus: Corpus,
        sampling: SamplingConfig,
        config: TrainingDataConfig,
        *,
        form: FaceForm,
        keep_bytes: float,
    ) -> None:
        self._sampling, self._form = sampling, form
        self._num_prepared = len(corpus.clips)
        self._twins = corpus.twins if sampling.face_control else None
        self._source: ClipSource | None = None
        if self._twins is not None:
            self._source = ClipSource(
                self._twins,
                replace(sampling, scene=None),
                stored=None,
                decode=config.decode,
                truth=None if config.faces_truth is None else Storage(config.faces_truth),
                keep_bytes=keep_bytes,
            )

    def close(self) -> None:
        """Close the decoder."""
        if self._source is not None:
            self._source.close()

    def signals(
        self,
        clip: int,
        spec: SampleSpec,
        *,
        targets_FHWC: NDArray[np.uint8] | None,
        keypoints_FK3: NDArray[np.float32],
        drawn_FK3: NDArray[np.float32],
    ) -> dict[str, NDArray[Any]]:
        """Signals of a sample.

        Args:
            clip: index in `Corpus.all_clips`.
            spec: frames and crop of the sample.
            targets_FHWC: uint8, cut by `spec`; read where there is no twin.
            keypoints_FK3: (F, 133, 3) of the targets, in their pixels.
            drawn_FK3: (F, 133, 3) drawn as skeletons.

        Raises:
            BadRow: the twin can no longer be read.
        """
        controls = np.array([True, self._sampling.face_control])
        size_px = (self._sampling.height_px, self._sampling.width_px)
        if not self._sampling.face_control or clip >= self._num_prepared:
            return {FACE_CONTROL: np.zeros((len(drawn_FK3), *size_px, CHANNELS), np.uint8), CONTROLS: controls}
        frames, keypoints = targets_FHWC, keypoints_FK3
        if self._twins is not None:
            frames, keypoints = self._of_twin(clip, spec)
        assert frames is not None
        drawn = face_control(frames, keypoints, drawn_FK3, size_px=size_px, form=self._form)
        # As in a request whose driving video shows no face: the body alone.
        return {FACE_CONTROL: drawn.pictures_THWC6, CONTROLS: np.array([True, drawn.seen_T.any()])}

    def _of_twin(self, clip: int, spec: SampleSpec) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Uncropped frames and keypoints in their pixels, mirrored as the sample is."""
        assert self._twins is not None
        assert self._source is not None
        row: Row = self._twins.clips.slice(clip, 1).to_pylist()[0]
        try:
            data = self._source.read(self._source.open(clip, row), row, replace(spec, reference=spec.targets[0]))
        except BadRow as error:
            raise BadRow(error.reason, f"its twin in data.faces: {error.message}") from error
        assert data.frames is not None
        frames = data.frames[1:]
        height_px, width_px = frames.shape[1:3]
        work_size_px = (row["work_height_px"], row["work_width_px"])
        keypoints = scale_keypoints(data.keypoints[1:], work_size_px, (height_px, width_px))
        if not spec.mirrored:
            return frames, keypoints
        return np.stack([cv2.flip(frame, 1) for frame in frames]), mirror_keypoints(keypoints, width_px=width_px)
