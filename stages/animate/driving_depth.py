"""Stage for depth at the joints of the driving character, for models that read structured depth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from models.animation.signals import STRUCTURED_DEPTH
from models.depth.joint_depth import joint_depths
from models.masks.resize import resize_masks
from models.pose.skeleton import scale_keypoints
from stages.backends.base import OnDemand
from stages.base import Row, Stage
from stages.io.prepared import read_prepared_depth
from stages.prepare.depth import DepthConfig, DepthStage


class DrivingDepthStage(Stage[DepthConfig]):
    """`driving_joint_depths`, float32 (T, 133), NaN where unknown; None if the model does not read structured depth.

    The weights are part of the row's key through `scene_weights`.
    """

    name = "driving_depth"
    reads: ClassVar[frozenset[str]] = frozenset(
        {"driving_frames", "driving_keypoints", "driving_mask", "clip", "clip_id", "model_spec", "scene_weights"}
    )
    writes: ClassVar[frozenset[str]] = frozenset({"driving_joint_depths"})
    transient: ClassVar[frozenset[str]] = frozenset({"driving_joint_depths"})

    def __init__(self, config: DepthConfig) -> None:
        super().__init__(config)
        self.depth = OnDemand(DepthStage(config))

    def networks(self, row: Row) -> Mapping[str, str]:  # noqa: ARG002
        """The network, if the row needed it."""
        return self.depth.networks(self.name)

    def process(self, row: Row) -> Row:
        """`driving_joint_depths`.

        Raises:
            BadRow: SourceChanged or NotFound for a prepared clip.
        """
        if STRUCTURED_DEPTH not in row["model_spec"]["signals"]:
            return {"driving_joint_depths": None}
        frames, clip, depth = row["driving_frames"], row["clip"], None
        if clip is not None and clip["keypoints_file"] is not None:
            depth = read_prepared_depth(row["clip_id"], clip, len(frames))
        if depth is None:
            depth = self.depth.get().process({"frames": frames})["depth"]
        keypoints = scale_keypoints(row["driving_keypoints"], frames.shape[1:3], depth.shape[1:])
        # As in training: a joint behind something does not have its depth.
        own = resize_masks(row["driving_mask"], depth.shape[1:3])
        return {"driving_joint_depths": joint_depths(np.where(own, depth, np.float32(np.nan)), keypoints)}
