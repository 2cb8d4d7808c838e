"""Animate: requests → videos. The ordered list, and the columns it writes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.animation.signals import Signal
from pipelines.engine.schema import REQUEST_COLUMNS, RESOLVED_COLUMNS, RESULT_COLUMNS
from pipelines.engine.steps import Step, Workers, on_workers
from stages.animate.diffusion import AnimateConfig, AnimateStage, LoadableModel
from stages.animate.driving import DrivingConfig, DrivingStage
from stages.animate.keypoints import DrivingPoseStage, ReferencePoseStage
from stages.animate.publish import PublishAnimationConfig, PublishAnimationStage
from stages.animate.reference import ReferenceConfig, ReferenceStage
from stages.animate.request import RequestConfig, RequestStage
from stages.animate.signals import SignalsConfig, SignalsStage
from stages.animate.skeleton import SkeletonConfig, SkeletonStage
from stages.base import Stage
from stages.io.storage import Storage
from stages.prepare.pose import PoseConfig

KEY_COLUMNS = tuple(
    name
    for name in (*REQUEST_COLUMNS, *RESOLVED_COLUMNS)
    # A clip counts by `clip_key`, not by its location, since a corpus may move; a model by its digest.
    if name not in ("request_id", "clip", "clips_uri", "model_spec")
)
"""What an animation depends on besides the pipeline."""

WRITTEN = RESULT_COLUMNS


@dataclass(frozen=True, kw_only=True, slots=True)
class AnimationConfig:
    """Settings of `zoetrope animate`, one section per stage that has any."""

    reference: ReferenceConfig = field(default_factory=ReferenceConfig)
    reference_pose: PoseConfig = field(default_factory=PoseConfig)
    driving: DrivingConfig = field(default_factory=DrivingConfig)
    driving_pose: PoseConfig = field(default_factory=PoseConfig)
    skeleton: SkeletonConfig = field(default_factory=SkeletonConfig)
    animate: AnimateConfig = field(default_factory=AnimateConfig)
    publish: PublishAnimationConfig = field(default_factory=PublishAnimationConfig)


STAGE_NAMES = tuple(
    stage.name
    for stage in (
        RequestStage,
        ReferenceStage,
        ReferencePoseStage,
        DrivingStage,
        DrivingPoseStage,
        SkeletonStage,
        SignalsStage,
        AnimateStage,
        PublishAnimationStage,
    )
)
"""In the order in which they run; keys of `workers`."""


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
        config: their settings.
        workers: by stage.
        storage: the dataset, which takes the videos.
        models: by name, those that requests name.
        signals: of the models' systems' own.
        publish_progress: workers publish the progress of long rows.
    """
    animate = config.animate
    if animate.device == "auto" and not workers[AnimateStage.name].gpus:
        # A worker without a GPU of its own may still see those of others.
        animate = dataclasses.replace(animate, device="cpu")
    stages: list[Stage[Any]] = [
        RequestStage(RequestConfig(max_side_px=config.reference.max_side_px)),
        ReferenceStage(config.reference),
        ReferencePoseStage(on_workers(config.reference_pose, workers[ReferencePoseStage.name])),
        DrivingStage(config.driving),
        DrivingPoseStage(on_workers(config.driving_pose, workers[DrivingPoseStage.name])),
        SkeletonStage(config.skeleton),
        SignalsStage(SignalsConfig(), signals),
        AnimateStage(animate, models, storage if publish_progress else None),
        PublishAnimationStage(config.publish, storage),
    ]
    return [Step(stage=stage, workers=workers[stage.name]) for stage in stages]
