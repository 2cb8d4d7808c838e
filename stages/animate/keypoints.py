"""Stages for keypoints of the reference picture and of the driving frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from models.pose.extent import CONFIDENT_SCORE, MIN_PERSON_KEYPOINTS, shows_person
from models.pose.plausibility import plausible_pose
from models.pose.skeleton import BODY
from stages.backends.base import OnDemand
from stages.base import Row, Stage
from stages.io.prepared import read_prepared_keypoints
from stages.outcome import BadRow, Reason, Rejected
from stages.prepare.pose import PoseConfig, PoseStage


class ReferencePoseStage(Stage[PoseConfig]):
    """Estimates `picture_keypoints`, (133, 3) float32 in pixels of the reference picture."""

    name = "reference_pose"
    reads: ClassVar[frozenset[str]] = frozenset({"reference_uri", "reference_picture", "model_spec"})
    writes: ClassVar[frozenset[str]] = frozenset({"picture_keypoints"})
    transient: ClassVar[frozenset[str]] = frozenset({"picture_keypoints"})

    def __init__(self, config: PoseConfig) -> None:
        super().__init__(config)
        self.pose = PoseStage(config)

    def weights(self) -> Mapping[str, str]:
        """Digests of the checkpoints."""
        return self.pose.weights()

    def networks(self, row: Row) -> Mapping[str, str]:  # noqa: ARG002
        """The configured network."""
        return {self.name: self.config.network}

    def open(self) -> None:
        """Load the network."""
        self.pose.open()

    def process(self, row: Row) -> Row:
        """`picture_keypoints`. A picture without a skeleton is accepted where it is animated as a whole, since
        retargeting has rules for it.

        Raises:
            BadRow: NoPerson, if the model keeps the scene and the picture shows nobody.
            Rejected: ImplausiblePose, if the skeleton is implausible, for example across two persons.
        """
        found = self.pose.process({"frames": row["reference_picture"][None], "frame_seconds": np.zeros(1)})
        if found["implausible_share"] > 0:
            raise Rejected(
                Reason.IMPLAUSIBLE_POSE,
                f"the skeleton in {row['reference_uri']} is implausible (across two persons, or with too long "
                "limbs); give a picture of one person, or a pose backend that tells persons apart",
            )
        keypoints = found["keypoints"][0]
        num_visible = int((keypoints[BODY, 2] >= CONFIDENT_SCORE).sum())
        if row["model_spec"]["keeps_scene"] and num_visible < MIN_PERSON_KEYPOINTS:
            raise BadRow(
                Reason.NO_PERSON,
                f"{row['reference_uri']} shows no person ({MIN_PERSON_KEYPOINTS} body keypoints that score "
                f"{CONFIDENT_SCORE:g} or more); {num_visible} were detected",
            )
        return {"picture_keypoints": keypoints}


class DrivingPoseStage(Stage[PoseConfig]):
    """`decoded_keypoints`, (T, 133, 3) float32 in pixels of the driving frames: estimated, or read from a prepared
    clip. Implausible ones are 0; `implausible_share` is the share of the frames with a person that lost all.
    """

    name = "driving_pose"
    reads: ClassVar[frozenset[str]] = frozenset({"decoded_frames", "decoded_seconds", "clip", "clip_id"})
    writes: ClassVar[frozenset[str]] = frozenset({"decoded_keypoints", "implausible_share"})
    transient: ClassVar[frozenset[str]] = frozenset({"decoded_keypoints"})

    def __init__(self, config: PoseConfig) -> None:
        super().__init__(config)
        self.pose = OnDemand(PoseStage(config))

    def weights(self) -> Mapping[str, str]:
        """Digests of the checkpoints."""
        return self.pose.weights()

    def networks(self, row: Row) -> Mapping[str, str]:  # noqa: ARG002
        """The network, unless the row's clip is a prepared one."""
        return self.pose.networks(self.name)

    def process(self, row: Row) -> Row:
        """`decoded_keypoints` and `implausible_share`.

        Raises:
            BadRow: NoPerson, if no frame shows a person; SourceChanged or NotFound for a prepared clip.
        """
        clip, seconds = row["clip"], row["decoded_seconds"]
        if clip is not None and clip["keypoints_file"] is not None:
            stored = read_prepared_keypoints(row["clip_id"], clip, row["decoded_frames"].shape)
            # Datasets of earlier versions, and of other programs, were not checked.
            pose = plausible_pose(stored, np.asarray(seconds, np.float64))
            keypoints, implausible_share = pose.keypoints, pose.implausible_share
        else:
            found = self.pose.get().process({"frames": row["decoded_frames"], "frame_seconds": seconds})
            keypoints, implausible_share = found["keypoints"], found["implausible_share"]
        if implausible_share == 0 and not shows_person(keypoints).any():
            num_visible = (keypoints[:, BODY, 2] >= CONFIDENT_SCORE).sum(axis=1)
            raise BadRow(
                Reason.NO_PERSON,
                f"none of the {len(keypoints)} driving frames shows a person ({MIN_PERSON_KEYPOINTS} body keypoints "
                f"that score {CONFIDENT_SCORE:g} or more); at most {num_visible.max()} keypoints were detected",
            )
        return {"decoded_keypoints": keypoints, "implausible_share": implausible_share}
