"""Pipeline of `zoetrope prepare`: ordered stages from clips to pose, depth, masks, quality and features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.engine.schema import PREPARED_COLUMNS
from pipelines.engine.steps import Step, Workers, on_workers
from stages.base import Stage
from stages.io.clip_reader import DecodeConfig
from stages.prepare.agnostic import AgnosticMaskConfig, AgnosticMaskStage
from stages.prepare.character_mask import CharacterMaskConfig, CharacterMaskStage
from stages.prepare.decode import DecodeStage
from stages.prepare.depth import DepthConfig, DepthStage
from stages.prepare.features import (
    ClipEmbeddingsConfig,
    ClipEmbeddingsStage,
    FeatureConfig,
    VaeLatentsConfig,
    VaeLatentsStage,
)
from stages.prepare.object_masks import ObjectMasksConfig, ObjectMasksStage
from stages.prepare.pose import PoseConfig, PoseStage
from stages.prepare.quality import QualityConfig, QualityStage
from stages.prepare.select import SelectConfig, SelectStage
from stages.prepare.structured_depth import StructuredDepthConfig, StructuredDepthStage

KEY_COLUMNS = ("fingerprint", "start_seconds", "num_frames", "frame_step", "fps", "frame_conversion", "objects")
"""Manifest columns that a prepared row depends on. Excludes the URI, because a corpus may move. `frame_conversion` is
null for frames that earlier versions decoded to the same pixels, so that these rows stay current.
"""

WRITTEN = PREPARED_COLUMNS


@dataclass(frozen=True, kw_only=True, slots=True)
class PrepareConfig:
    """Settings of `zoetrope prepare`, one section per stage."""

    decode: DecodeConfig = field(default_factory=DecodeConfig)
    pose: PoseConfig = field(default_factory=PoseConfig)
    depth: DepthConfig = field(default_factory=DepthConfig)
    structured_depth: StructuredDepthConfig = field(default_factory=StructuredDepthConfig)
    character_mask: CharacterMaskConfig = field(default_factory=CharacterMaskConfig)
    object_masks: ObjectMasksConfig = field(default_factory=ObjectMasksConfig)
    agnostic_mask: AgnosticMaskConfig = field(default_factory=AgnosticMaskConfig)
    quality: QualityConfig = field(default_factory=QualityConfig)
    select: SelectConfig = field(default_factory=SelectConfig)
    clip_embeddings: ClipEmbeddingsConfig = field(default_factory=ClipEmbeddingsConfig)
    vae_latents: VaeLatentsConfig = field(default_factory=VaeLatentsConfig)


STAGES: dict[str, type[Stage[Any]]] = {
    stage.name: stage
    for stage in (
        DecodeStage,
        PoseStage,
        DepthStage,
        StructuredDepthStage,
        CharacterMaskStage,
        ObjectMasksStage,
        AgnosticMaskStage,
        QualityStage,
        SelectStage,
        ClipEmbeddingsStage,
        VaeLatentsStage,
    )
}
"""Stages by name, in execution order. The name is the configuration section and the key under `workers`."""


def steps(config: PrepareConfig, workers: Mapping[str, Workers]) -> list[Step]:
    """Steps in the order of `STAGES`, without optional stages that are not enabled."""
    sections = {name: on_workers(getattr(config, name), workers[name]) for name in STAGES}
    return [
        Step(stage=_stage(name, section, config.decode), workers=workers[name])
        for name, section in sections.items()
        if not isinstance(section, FeatureConfig) or section.enabled
    ]


def _stage(name: str, section: Any, decode: DecodeConfig) -> Stage[Any]:
    return ObjectMasksStage(section, decode) if name == ObjectMasksStage.name else STAGES[name](section)
