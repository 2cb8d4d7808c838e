"""Stages for keypoints of the reference picture and of the driving frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from models.pose.extent import CONFIDENT_SCORE
from models.pose.skeleton import BODY
from models.quality.measures import MIN_PERSON_KEYPOINTS
from stages.backends.base import OnDemand
from stages.base import Row, Stage
from stages.io.prepared import read_prepared_keypoints
from stages.outcome import BadRow, Reason
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
        """
        picture = {"frames": row["reference_picture"][None], "frame_seconds": [0.0]}
        keypoints = self.pose.process(picture)["keypoints"][0]
        num_visible = int((keypoints[BODY, 2] >= CONFIDENT_SCORE).sum())
        if row["model_spec"]["keeps_scene"] and num_visible < MIN_PERSON_KEYPOINTS:
            raise BadRow(
                Reason.NO_PERSON,
                f"{row['reference_uri']} shows no person ({MIN_PERSON_KEYPOINTS} body keypoints that score "
                f"{CONFIDENT_SCORE:g} or more); {num_visible} were detected",
            )
        return {"picture_keypoints": keypoints}


class DrivingPoseStage(Stage[PoseConfig]):
    """`driving_keypoints`, (T, 133, 3) float32 in pixels of the driving frames: estimated, or read from a prepared
    clip.
    """

    name = "driving_pose"
    writes: ClassVar[frozenset[str]] = frozenset({"driving_keypoints"})
    transient: ClassVar[frozenset[str]] = frozenset({"driving_keypoints"})

    def __init__(self, config: PoseConfig) -> None:
        super().__init__(config)
        self.pose = OnDemand(PoseStage(config))

    @property
    def reads(self) -> frozenset[str]:  # type: ignore[override]  # as those of `PoseStage`
        """The driving frames or the prepared clip, and `frame_seconds` for smoothing."""
        times = {"frame_seconds"} if self.config.half_window_seconds else set()
        return frozenset({"driving_frames", "clip", "clip_id"} | times)

    def weights(self) -> Mapping[str, str]:
        """Digests of the checkpoints."""
        return self.pose.weights()

    def networks(self, row: Row) -> Mapping[str, str]:  # noqa: ARG002
        """The network, unless the row's clip is a prepared one."""
        return self.pose.networks(self.name)

    def process(self, row: Row) -> Row:
        """`driving_keypoints`.

        Raises:
            BadRow: NoPerson, if no frame shows a person; SourceChanged or NotFound for a prepared clip.
        """
        clip = row["clip"]
        if clip is not None and clip["keypoints_file"] is not None:
            keypoints = read_prepared_keypoints(row["clip_id"], clip, row["driving_frames"].shape)
        else:
            times = {"frame_seconds": row["frame_seconds"]} if "frame_seconds" in self.reads else {}
            keypoints = self.pose.get().process({"frames": row["driving_frames"], **times})["keypoints"]
        num_visible = (keypoints[:, BODY, 2] >= CONFIDENT_SCORE).sum(axis=1)
        if not (num_visible >= MIN_PERSON_KEYPOINTS).any():
            raise BadRow(
                Reason.NO_PERSON,
                f"none of the {len(keypoints)} driving frames shows a person ({MIN_PERSON_KEYPOINTS} body keypoints "
                f"that score {CONFIDENT_SCORE:g} or more); at most {num_visible.max()} keypoints were detected",
            )
        return {"driving_keypoints": keypoints}
