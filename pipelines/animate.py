"""The pipeline of `zoetrope animate` from requests to videos: configuration, stages and columns."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.animation.signals import Signal
from pipelines.engine.schema import REQUEST_COLUMNS, RESOLVED_COLUMNS, RESULT_COLUMNS
from pipelines.engine.steps import Step, Workers, on_workers
from stages.animate.diffusion import AnimateConfig, AnimateStage, LoadableModel
from stages.animate.driving import DrivingConfig, DrivingStage
from stages.animate.driving_depth import DrivingDepthStage
from stages.animate.driving_mask import DrivingMaskStage
from stages.animate.driving_objects import DrivingObjectsStage
from stages.animate.driving_span import DrivingSpanConfig, DrivingSpanStage
from stages.animate.face_crops import FaceCropsConfig, FaceCropsStage
from stages.animate.keypoints import DrivingPoseStage, ReferencePoseStage
from stages.animate.publish import PublishAnimationConfig, PublishAnimationStage
from stages.animate.reference import ReferenceConfig, ReferenceStage
from stages.animate.reference_crop import ReferenceCropConfig, ReferenceCropStage, ReferenceMaskStage
from stages.animate.request import RequestConfig, RequestStage
from stages.animate.scene import SceneConfig, SceneStage
from stages.animate.signals import SignalsConfig, SignalsStage
from stages.animate.skeleton import SkeletonConfig, SkeletonStage
from stages.backends.base import BackendConfig
from stages.base import Stage
from stages.io.storage import Storage
from stages.prepare.character_mask import CharacterMaskConfig, CharacterMaskStage
from stages.prepare.depth import DepthConfig, DepthStage
from stages.prepare.object_masks import ObjectMasksConfig, ObjectMasksStage
from stages.prepare.pose import PoseConfig

KEY_COLUMNS = tuple(
    name
    for name in (*REQUEST_COLUMNS, *RESOLVED_COLUMNS)
    # Clips are identified by `clip_key`, since a corpus may move, and models by their digest.
    if name not in ("request_id", "clip", "clip_fault", "clips_uri", "model_spec")
)
"""Columns that are part of a row's key."""

WRITTEN = RESULT_COLUMNS


@dataclass(frozen=True, kw_only=True, slots=True)
class AnimationConfig:
    """Configuration of `zoetrope animate`: one section per stage with settings."""

    driving: DrivingConfig = field(default_factory=DrivingConfig)
    driving_pose: PoseConfig = field(default_factory=PoseConfig)
    driving_span: DrivingSpanConfig = field(default_factory=DrivingSpanConfig)
    driving_mask: CharacterMaskConfig = field(default_factory=CharacterMaskConfig)
    driving_objects: ObjectMasksConfig = field(default_factory=ObjectMasksConfig)
    driving_depth: DepthConfig = field(default_factory=DepthConfig)
    reference: ReferenceConfig = field(default_factory=ReferenceConfig)
    reference_pose: PoseConfig = field(default_factory=PoseConfig)
    reference_mask: CharacterMaskConfig = field(default_factory=CharacterMaskConfig)
    skeleton: SkeletonConfig = field(default_factory=SkeletonConfig)
    animate: AnimateConfig = field(default_factory=AnimateConfig)
    publish: PublishAnimationConfig = field(default_factory=PublishAnimationConfig)


STAGE_NAMES = tuple(
    stage.name
    for stage in (
        RequestStage,
        DrivingStage,
        DrivingPoseStage,
        DrivingSpanStage,
        DrivingMaskStage,
        DrivingObjectsStage,
        DrivingDepthStage,
        ReferenceStage,
        ReferencePoseStage,
        ReferenceMaskStage,
        ReferenceCropStage,
        SkeletonStage,
        SceneStage,
        FaceCropsStage,
        SignalsStage,
        AnimateStage,
        PublishAnimationStage,
    )
)
"""Stages in execution order; keys of `workers`."""


def scene_perception(config: AnimationConfig) -> dict[str, BackendConfig]:
    """Networks that only models which keep the scene need, by stage."""
    return {
        DrivingMaskStage.name: config.driving_mask,
        DrivingObjectsStage.name: config.driving_objects,
        DrivingDepthStage.name: config.driving_depth,
        ReferenceMaskStage.name: config.reference_mask,
    }


def scene_weights(config: AnimationConfig) -> str:
    """The column `scene_weights`: name and digest of all weights of `scene_perception`, as JSON.

    A column rather than part of the stages' keys, so that other models need none of these files.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    masks = (CharacterMaskStage(config.driving_mask), CharacterMaskStage(config.reference_mask))
    stages = (*masks, ObjectMasksStage(config.driving_objects), DepthStage(config.driving_depth))
    digests = {name: digest for stage in stages for name, digest in stage.weights().items()}
    return json.dumps(digests, sort_keys=True)


def steps(
    config: AnimationConfig,
    workers: Mapping[str, Workers],
    storage: Storage,
    *,
    models: Mapping[str, LoadableModel],
    signals: Mapping[str, Signal] | None = None,
    publish_progress: bool = False,
) -> list[Step]:
    """The steps, in the order of `STAGE_NAMES`.

    Args:
        config: settings of the stages.
        workers: workers by stage name.
        storage: the dataset, to which videos are published.
        models: models of the requests, by name.
        signals: system-specific signals of these models, by name.
        publish_progress: whether workers publish the progress of long rows.
    """
    animate = config.animate
    if animate.device == "auto" and not workers[AnimateStage.name].gpus:
        # A worker to which Ray assigns no GPU may still see the GPUs of others.
        animate = dataclasses.replace(animate, device="cpu")
    stages: list[Stage[Any]] = [
        RequestStage(RequestConfig(max_side_px=config.reference.max_side_px)),
        DrivingStage(config.driving),
        DrivingPoseStage(on_workers(config.driving_pose, workers[DrivingPoseStage.name])),
        DrivingSpanStage(config.driving_span),
        DrivingMaskStage(on_workers(config.driving_mask, workers[DrivingMaskStage.name])),
        DrivingObjectsStage(
            on_workers(config.driving_objects, workers[DrivingObjectsStage.name]), config.driving.decode
        ),
        DrivingDepthStage(on_workers(config.driving_depth, workers[DrivingDepthStage.name])),
        ReferenceStage(config.reference),
        ReferencePoseStage(on_workers(config.reference_pose, workers[ReferencePoseStage.name])),
        ReferenceMaskStage(on_workers(config.reference_mask, workers[ReferenceMaskStage.name])),
        ReferenceCropStage(ReferenceCropConfig()),
        SkeletonStage(config.skeleton),
        SceneStage(SceneConfig()),
        FaceCropsStage(FaceCropsConfig()),
        SignalsStage(SignalsConfig(), signals),
        AnimateStage(animate, models, storage if publish_progress else None),
        PublishAnimationStage(config.publish, storage, config.driving.decode),
    ]
    return [Step(stage=stage, workers=workers[stage.name]) for stage in stages]
