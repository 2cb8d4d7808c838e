"""The pipeline of `zoetrope evaluate` from pairs to measures: configuration, stages and columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from models.catalogue import entry
from models.metrics.measures import MEASURES, SET_MEASURES, Measure, SetMeasure
from models.weights.resolve import MissingWeightsError, locate
from pipelines.engine.schema import COMPARED_COLUMNS, PAIR_COLUMNS, STAMPED_PAIR_COLUMNS
from pipelines.engine.steps import Step, Workers, on_workers
from stages.backends.base import BackendConfig
from stages.base import Stage
from stages.evaluate.background import BackgroundConfig, BackgroundStage
from stages.evaluate.dtfvd import DtfvdConfig, DtfvdStage
from stages.evaluate.faces import FacesConfig, FacesStage
from stages.evaluate.features import (
    CdFvdConfig,
    CdFvdStage,
    FidConfig,
    FidStage,
    FidVidConfig,
    FidVidStage,
    FvdConfig,
    FvdStage,
)
from stages.evaluate.frames import ComparedFramesStage, FramesConfig
from stages.evaluate.keypoints import ComparedKeypointsConfig, ComparedKeypointsStage
from stages.evaluate.lpips import LpipsConfig, LpipsStage
from stages.evaluate.masks import ComparedMasksStage
from stages.evaluate.pixels import PixelsConfig, PixelsStage
from stages.evaluate.subject import SubjectConfig, SubjectStage
from stages.evaluate.temporal import TemporalConfig, TemporalStage
from stages.prepare.character_mask import CharacterMaskConfig

KEY_COLUMNS = tuple(
    name
    for name in (*PAIR_COLUMNS, *STAMPED_PAIR_COLUMNS)
    # Model and setting decide in which table a row counts, and do not change its measures.
    if name not in ("animation_id", "model", "setting")
)
"""Columns that are part of a row's key."""

WRITTEN = COMPARED_COLUMNS


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationConfig:
    """Configuration of `zoetrope evaluate`: one section per stage."""

    frames: FramesConfig = field(default_factory=FramesConfig)
    pixels: PixelsConfig = field(default_factory=PixelsConfig)
    temporal: TemporalConfig = field(default_factory=TemporalConfig)
    keypoints: ComparedKeypointsConfig = field(default_factory=ComparedKeypointsConfig)
    lpips: LpipsConfig = field(default_factory=LpipsConfig)
    faces: FacesConfig = field(default_factory=FacesConfig)
    subject: SubjectConfig = field(default_factory=SubjectConfig)
    background: BackgroundConfig = field(default_factory=BackgroundConfig)
    fid: FidConfig = field(default_factory=FidConfig)
    fid_vid: FidVidConfig = field(default_factory=FidVidConfig)
    fvd: FvdConfig = field(default_factory=FvdConfig)
    cd_fvd: CdFvdConfig = field(default_factory=CdFvdConfig)
    masks: CharacterMaskConfig = field(default_factory=CharacterMaskConfig)
    dtfvd: DtfvdConfig = field(default_factory=DtfvdConfig)


STAGES: Mapping[str, type[Stage[Any]]] = {
    stage.name: stage
    for stage in (
        ComparedFramesStage,
        PixelsStage,
        TemporalStage,
        ComparedKeypointsStage,
        LpipsStage,
        FacesStage,
        SubjectStage,
        BackgroundStage,
        FidStage,
        FidVidStage,
        FvdStage,
        CdFvdStage,
        ComparedMasksStage,
        DtfvdStage,
    )
}
"""Stages by name, which is also the section of their configuration, in execution order."""


_ALL: tuple[Measure | SetMeasure, ...] = (*MEASURES.values(), *SET_MEASURES.values())


def stages_of(measures: Collection[str]) -> tuple[str, ...]:
    """Stages that compute measures, in execution order; without those that they read from.

    Args:
        measures: names of measures, or of stages for all measures of each; empty: all measures.

    Raises:
        ValueError: an unknown name.
    """
    stage_of = {measure.name: measure.stage for measure in _ALL}
    stage_of |= {stage: stage for stage in stage_of.values()}
    if unknown := [name for name in measures if name not in stage_of]:
        raise ValueError(f"unknown measure '{unknown[0]}', expected some of {', '.join(sorted(stage_of))}")
    wanted = {stage_of[name] for name in measures or stage_of}
    return tuple(name for name in STAGES if name in wanted)


def with_inputs(wanted: Collection[str]) -> tuple[str, ...]:
    """The stages `wanted` and those whose columns they read, in execution order."""
    return tuple(stage.name for stage in _needed(list(STAGES.values()), wanted))


@dataclass(frozen=True, kw_only=True, slots=True)
class MissingWeights:
    """Entries of the weights catalogue that lack files, and the error."""

    entries: tuple[str, ...]
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Steps:
    """Steps that can run, and the missing weights of each stage that was left out."""

    steps: Sequence[Step]
    missing: Mapping[str, MissingWeights]


def steps(config: EvaluationConfig, workers: Mapping[str, Workers], wanted: Sequence[str]) -> Steps:
    """The steps of the stages `wanted` and of those whose columns they read, without those whose weights are missing.

    Args:
        config: settings of the stages.
        workers: workers by stage name.
        wanted: names of stages, as `stages_of` returns them.

    Raises:
        CheckpointError: a weights file is damaged or not allowed.
    """
    made: list[Stage[Any]] = []
    missing: dict[str, MissingWeights] = {}
    lost: dict[str, MissingWeights] = {}
    for name in with_inputs(wanted):
        stage = STAGES[name](on_workers(getattr(config, name), workers[name]))
        reason = next((lost[column] for column in sorted(stage.reads) if column in lost), None)
        if reason is None:
            try:
                stage.weights()
            except MissingWeightsError as error:
                reason = _missing_weights(stage.config, str(error))
        if reason is None:
            made.append(stage)
        else:
            missing[name] = reason
            lost |= dict.fromkeys(stage.writes, reason)
    # An input of a stage that was left out is of no use.
    return Steps(
        steps=[Step(stage=stage, workers=workers[stage.name]) for stage in _needed(made, wanted)], missing=missing
    )


def _missing_weights(config: BackendConfig, message: str) -> MissingWeights:
    folder = None if config.weights is None else Path(config.weights)
    missing = tuple(name for name in config.parts if not all(locate(entry(name), folder).values()))
    return MissingWeights(entries=missing, message=message)


StageT = TypeVar("StageT", Stage[Any], type[Stage[Any]])


def _needed(stages: Sequence[StageT], wanted: Collection[str]) -> list[StageT]:
    """The stages `wanted`, and those whose columns they read, in order."""
    columns: set[str] = set()
    chosen: list[StageT] = []
    for stage in reversed(stages):
        if stage.name in wanted or stage.writes & columns:
            chosen.append(stage)
            columns |= stage.reads
    return chosen[::-1]


def networks_of(config: EvaluationConfig, wanted: Sequence[str]) -> dict[str, BackendConfig]:
    """Configuration of the stages `wanted` that run a network, by stage name."""
    sections = {name: getattr(config, name) for name in wanted}
    return {name: section for name, section in sections.items() if isinstance(section, BackendConfig)}


def measures_of(stages: Collection[str]) -> list[str]:
    """Titles of the measures that stages compute, in the order of tables."""
    return [measure.title for measure in _ALL if measure.stage in stages]
