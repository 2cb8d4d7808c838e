"""Training samples from the dataset `prepared`, and from scenery, in an order that depends only on the seed.

Samples of a run are numbered 0, 1, 2, …. Every step takes the next `batch_size`, divided among the workers. Sample n is
a function of the seed, n and the dataset (`models.training.sample_spec`). `pipelines.training.batches` prefetches
samples in a thread or with Ray Data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.animation.signals import (
    DRIVING_FRAMES,
    DRIVING_KEYPOINTS,
    POSE_KEYPOINTS,
    REFERENCE_KEYPOINTS,
    REFERENCE_POSE,
    Signal,
    collect_signals,
)
from models.face.control import FaceForm
from models.finite import NotFiniteError
from models.pose.pose_augment import UNCHANGED, PoseChange, apply_change, sample_change
from models.pose.pose_map import PRESETS, draw_poses
from models.training.batch import SampleBatch
from models.training.recipe import SamplingConfig
from models.training.sample_spec import (
    POSE_AUGMENT,
    SCENE,
    SPEC,
    MixedOrder,
    SampleSpec,
    cut_frames,
    cut_keypoints,
    sample_spec,
    stream,
)
from models.training.scene_spec import SceneSpec, scene_spec
from pipelines.training.clip_scene import MIN_REFERENCE_SHARE, ClipScene
from pipelines.training.clip_source import ClipData, ClipSource, num_pictures
from pipelines.training.corpus import Corpus
from pipelines.training.data_config import TrainingDataConfig
from pipelines.training.face_samples import FaceControls
from pipelines.training.scene_samples import PosedPictures, scene_sample
from pipelines.training.stored_features import StoredFeatures
from stages.base import Row
from stages.io.storage import Storage
from stages.outcome import BadRow


class UnusableClipError(RuntimeError):
    """A prepared clip can no longer be read, or does not allow a signal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Draws:
    """Random draws of one sample."""

    spec: SampleSpec
    change: PoseChange = UNCHANGED
    scene: SceneSpec = field(default_factory=SceneSpec)


class SampleMaker:
    """Computes samples by number. Owns a decoder process and a cache of clips. Not thread-safe.

    Args:
        preset: key of `models.pose.pose_map.PRESETS`.
        seed: seed of the run.
        stored: stored features that replace pictures; None: samples have pictures.
        signals: system-specific signals to compute, by name.
        face_form: form of the face control that the model reads; None: it reads none.
    """

    def __init__(
        self,
        corpus: Corpus,
        sampling: SamplingConfig,
        config: TrainingDataConfig,
        *,
        preset: str,
        seed: int,
        stored: StoredFeatures | None = None,
        signals: Mapping[str, Signal] | None = None,
        face_form: FaceForm | None = None,
    ) -> None:
        self.sampling, self.seed = sampling, seed
        self._stored = stored
        self._num_pictures = num_pictures(stored)
        self._signals_of_system = dict(signals or {})
        self._clips, self._anchors = corpus.all_clips, corpus.anchors
        self._num_prepared = len(corpus.clips)
        self._preset = PRESETS[preset]
        self._order = MixedOrder(
            self._num_prepared,
            len(self._clips) - self._num_prepared,
            seed,
            scenery_share=sampling.scenery_share,
        )
        # Clips and twins are of one size, and are read together.
        both = face_form is not None and sampling.face_control and corpus.twins is not None
        keep_bytes = config.keep_gib * 2**30 / (2 if both else 1)
        self._source = ClipSource(
            corpus,
            sampling,
            stored=stored,
            decode=config.decode,
            truth=None if config.truth is None else Storage(config.truth),
            keep_bytes=keep_bytes,
        )
        self._faces: FaceControls | None = None
        if face_form is not None:
            self._faces = FaceControls(corpus, sampling, config, form=face_form, keep_bytes=keep_bytes)

    def batch(self, numbers: Sequence[int]) -> SampleBatch:
        """Compute the samples with the given numbers.

        Raises:
            UnusableClipError: a clip cannot be used; the message names it.
        """
        return SampleBatch.of([self._sample(number) for number in numbers])

    def beginning(self, clip: int, *, num_frames: int) -> SampleBatch:
        """Sample with up to `num_frames` first frames of a clip as targets and the first of them as reference.

        With a scene, the reference is the first frame of the clip with a character, and masks follow the rule of
        inference.

        Raises:
            UnusableClipError: the clip cannot be used; the message names it.
        """
        row = self._row(clip)
        data = self._open(clip, row)
        spec = SampleSpec(
            targets=tuple(range(min(num_frames, row["num_frames"]))),
            reference=0 if data.scene is None else int(data.scene.references_T.argmax()),
            crop_share=1.0,
            crop_place=(0.5, 0.5),
            mirrored=False,
        )
        return self._assemble(-1, clip, row, data, _Draws(spec=spec))

    def close(self) -> None:
        """Close the decoders."""
        self._source.close()
        if self._faces is not None:
            self._faces.close()

    def _row(self, clip: int) -> Row:
        row: Row = self._clips.slice(clip, 1).to_pylist()[0]
        return row

    def _sample(self, number: int) -> SampleBatch:
        clip = self._order[number]
        row = self._row(clip)
        data = self._open(clip, row)
        spec = sample_spec(
            row["num_frames"],
            self.sampling,
            stream(self.seed, SPEC, number),
            references_T=None if data.scene is None else data.scene.references_T,
        )
        scene, config = SceneSpec(), self.sampling.scene
        if config is not None:
            scene = scene_spec(self.sampling.num_frames, config, stream(self.seed, SCENE, number))
        draws = _Draws(spec=spec, change=self._change(number, clip), scene=scene)
        return self._assemble(number, clip, row, data, draws)

    def _open(self, clip: int, row: Row) -> ClipData:
        with _readable(row):
            data = self._source.open(clip, row)
        if data.scene is not None and not data.scene.references_T.any():
            raise UnusableClipError(
                f"clip {row['clip_id']} shows its character in no frame: each mask covers less than "
                f"{MIN_REFERENCE_SHARE:.2%} of its frame; leave its video out, or let prepare reject such clips"
            )
        return data

    def _change(self, number: int, clip: int) -> PoseChange:
        config = self.sampling.explicit_indicator
        # Parts that it adds would be a character's.
        if config is None or self._anchors is None or clip >= self._num_prepared:
            return UNCHANGED
        return sample_change(stream(self.seed, POSE_AUGMENT, number), config, pool_size=len(self._anchors))

    def _assemble(self, number: int, clip: int, row: Row, data: ClipData, draws: _Draws) -> SampleBatch:
        spec = draws.spec
        with _readable(row):
            data = self._source.read(data, row, spec)
        frames, keypoints, work_size_px = data.frames, data.keypoints, (row["work_height_px"], row["work_width_px"])
        pictures = None if frames is None else cut_frames(frames[: self._num_pictures], spec, self.sampling)
        # Only the drawn keypoints of the targets are augmented.
        drawn = np.concatenate([keypoints[:1], self._augmented(keypoints[1:], draws.change, row)])
        keypoints, drawn = (
            cut_keypoints(
                points,
                spec,
                self.sampling,
                work_size_px=work_size_px,
                frame_size_px=work_size_px if frames is None else (frames.shape[1], frames.shape[2]),
            )
            for points in (keypoints, drawn)
        )
        more_signals: dict[str, NDArray[Any]] = {}
        if pictures is not None and isinstance(data.scene, ClipScene):
            sample = PosedPictures(pictures_GHWC=pictures, keypoints_GK3=keypoints, drawn_GK3=drawn)
            with _readable(row):
                sample, more_signals = scene_sample(
                    sample,
                    data,
                    data.scene,
                    work_size_px=work_size_px,
                    sampling=self.sampling,
                    spec=spec,
                    scene_spec=draws.scene,
                )
            pictures, keypoints, drawn = sample.pictures_GHWC, sample.keypoints_GK3, sample.drawn_GK3
        height_px, width_px = self.sampling.height_px, self.sampling.width_px
        if self._faces is not None:
            targets = None if pictures is None else pictures[1:]
            with _readable(row):
                faces = self._faces.signals(
                    clip, spec, targets_FHWC=targets, keypoints_FK3=keypoints[1:], drawn_FK3=drawn[1:]
                )
            more_signals = {**more_signals, **faces}
        poses = draw_poses(drawn, height_px=height_px, width_px=width_px, preset=self._preset)
        return SampleBatch(
            samples_B=np.array([number]),
            clips_B=np.array([clip]),
            targets_BFHWC=None if pictures is None or self._stored else pictures[None, 1:],
            poses_BFHWC=poses[None, 1:],
            references_BHWC=None if pictures is None else pictures[:1],
            reference_poses_BHWC=poses[:1],
            keypoints_BGK3=keypoints[None],
            pose_keypoints_BFK3=drawn[None, 1:],
            target_frames_BF=np.array([spec.targets]),
            reference_frames_B=np.array([spec.reference]),
            mirrored_B=np.array([spec.mirrored]),
            latents_BGCHW=None if data.latents is None else data.latents[None],
            embeddings_BGE=None if data.embeddings is None else data.embeddings[None],
            signals={
                **self._own_signals(row, pictures, poses, keypoints, drawn),
                **{name: array[None] for name, array in more_signals.items()},
            },
        )

    def _own_signals(
        self,
        row: Row,
        pictures: NDArray[np.uint8] | None,
        poses: NDArray[np.uint8],
        keypoints: NDArray[np.float32],
        drawn: NDArray[np.float32],
    ) -> dict[str, NDArray[Any]]:
        base: dict[str, NDArray[Any]] = {
            REFERENCE_POSE: poses[0],
            REFERENCE_KEYPOINTS: keypoints[0],
            POSE_KEYPOINTS: drawn[1:],
            DRIVING_KEYPOINTS: keypoints[1:],
        }
        if pictures is not None and len(pictures) > 1:
            base[DRIVING_FRAMES] = pictures[1:]
        try:
            signals = collect_signals(self._signals_of_system, self._signals_of_system, base)
        except (ValueError, NotFiniteError) as error:
            raise UnusableClipError(f"clip {row['clip_id']}: {error}") from error
        return {name: array[None] for name, array in signals.items()}

    def _augmented(self, keypoints: NDArray[np.float32], change: PoseChange, row: Row) -> NDArray[np.float32]:
        anchor = None
        if self._anchors is not None and change.anchor is not None:
            anchor = self._anchors[change.anchor].copy()
            anchor[:, :2] *= row["work_height_px"]
        return apply_change(keypoints, change, anchor)


@contextmanager
def _readable(row: Row) -> Iterator[None]:
    """Make an `UnusableClipError` of the `BadRow` of a clip."""
    try:
        yield
    except BadRow as error:
        made, again = ("prepared", "prepare the clips") if row["file"] else ("ingested", "ingest the videos")
        raise UnusableClipError(
            f"clip {row['clip_id']} was {made}, but cannot be read any more ({error.reason}: {error.message}); "
            f"put its video back or {again} again, and run the same command"
        ) from error
