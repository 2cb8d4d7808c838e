"""Keypoints of a request's reference picture and of its driving frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from models.pose.extent import CONFIDENT_SCORE
from models.pose.skeleton import BODY
from models.quality.measures import MIN_PERSON_KEYPOINTS
from stages.base import Row, Stage
from stages.io.prepared import read_prepared_keypoints
from stages.outcome import BadRow, Reason
from stages.prepare.pose import PoseConfig, PoseStage


class ReferencePoseStage(Stage[PoseConfig]):
    """The reference picture to `reference_keypoints`, (133, 3) float32 in its pixels."""

    name = "reference_pose"
    reads: ClassVar[frozenset[str]] = frozenset({"reference_image"})
    writes: ClassVar[frozenset[str]] = frozenset({"reference_keypoints"})

    def __init__(self, config: PoseConfig) -> None:
        super().__init__(config)
        self.pose = PoseStage(config)

    def weights(self) -> Mapping[str, str]:
        """Digest of the checkpoint."""
        return self.pose.weights()

    def open(self) -> None:
        """Load the network."""
        self.pose.open()

    def process(self, row: Row) -> Row:
        """Keypoints of `reference_image`. A picture without a skeleton is accepted: retargeting has rules for it."""
        return {"reference_keypoints": self.pose.process({"frames": row["reference_image"][None]})["keypoints"][0]}


class DrivingPoseStage(Stage[PoseConfig]):
    """Driving frames to `driving_keypoints`, (T, 133, 3) float32 in their pixels; those of a prepared clip are read."""

    name = "driving_pose"
    reads: ClassVar[frozenset[str]] = frozenset({"driving_frames", "clip", "clip_id"})
    writes: ClassVar[frozenset[str]] = frozenset({"driving_keypoints"})
    transient: ClassVar[frozenset[str]] = frozenset({"driving_keypoints"})

    def __init__(self, config: PoseConfig) -> None:
        super().__init__(config)
        self.pose = PoseStage(config)
        self._is_open = False

    def weights(self) -> Mapping[str, str]:
        """Digest of the checkpoint."""
        return self.pose.weights()

    def process(self, row: Row) -> Row:
        """`driving_keypoints`.

        Raises:
            BadRow: NoPerson, if no frame shows one; SourceChanged or NotFound for a prepared clip.
        """
        clip = row["clip"]
        if clip is not None and clip["keypoints_file"] is not None:
            keypoints = read_prepared_keypoints(row["clip_id"], clip, row["driving_frames"].shape)
        else:
            if not self._is_open:  # a job on prepared clips never needs the network
                self.pose.open()
                self._is_open = True
            keypoints = self.pose.process({"frames": row["driving_frames"]})["keypoints"]
        num_visible = (keypoints[:, BODY, 2] >= CONFIDENT_SCORE).sum(axis=1)
        if not (num_visible >= MIN_PERSON_KEYPOINTS).any():
            raise BadRow(
                Reason.NO_PERSON,
                f"none of the {len(keypoints)} driving frames shows a person ({MIN_PERSON_KEYPOINTS} body keypoints "
                f"that score {CONFIDENT_SCORE:g} or more); at most {num_visible.max()} keypoints were found",
            )
        return {"driving_keypoints": keypoints}
