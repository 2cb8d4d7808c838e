from __future__ import annotations

import numpy as np
from puppet_media import puppet_frames
from toy_animation import scene_model, spec_of

from models.depth.joint_depth import joint_depths
from models.depth.structured import decode_depth
from models.perception.embedded import EmbeddedFigure
from models.pose.skeleton import scale_keypoints
from stages.animate.driving_depth import DrivingDepthStage
from stages.backends.base import EMBEDDED
from stages.base import Row
from stages.prepare.depth import DepthConfig

SCENE = {"model_spec": spec_of(scene_model())}


def test_depth_of_a_video_is_estimated_at_its_joints() -> None:
    figure, frames = EmbeddedFigure(), puppet_frames(8, num_frames=2)
    keypoints = figure.keypoints(frames)
    stage = DrivingDepthStage(DepthConfig(backend=EMBEDDED))
    mask = np.ones(frames.shape[:3], bool)
    mask[:, : frames.shape[1] // 2] = False  # something is before the upper half
    row = {**SCENE, "driving_frames": frames, "driving_keypoints": keypoints, "driving_mask": mask, "clip": None}
    made = stage(row)["driving_joint_depths"]
    expected = joint_depths(np.where(mask, figure.depth(frames), np.nan), keypoints)
    np.testing.assert_array_equal(made, expected)
    assert 0 < np.isfinite(made).sum() < np.isfinite(joint_depths(figure.depth(frames), keypoints)).sum()


def test_depth_of_a_prepared_clip_is_read(prepared_clip: Row) -> None:
    stored = prepared_clip["stored"]
    keypoints = scale_keypoints(stored["keypoints"], (96, 64), (192, 128))
    stage = DrivingDepthStage(DepthConfig(backend="depth-anything", weights="/nowhere"))
    everywhere = np.ones((len(keypoints), 192, 128), bool)
    row = {**SCENE, **prepared_clip, "driving_keypoints": keypoints, "driving_mask": everywhere}
    made = stage(row)["driving_joint_depths"]
    depth = decode_depth(stored["depth_png"], minimum=stored["depth_min"], maximum=stored["depth_max"])
    np.testing.assert_allclose(made, joint_depths(depth, stored["keypoints"]))
    assert np.isfinite(made).any()


def test_other_models_need_no_depth() -> None:
    stage = DrivingDepthStage(DepthConfig(backend="depth-anything", weights="/nowhere"))
    assert stage({"model_spec": spec_of()})["driving_joint_depths"] is None
    assert not stage.weights()
