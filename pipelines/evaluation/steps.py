"""The pipeline of `zoetrope evaluate` from pairs to measures: configuration, stages and columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.metrics.measures import MEASURES, SET_MEASURES
from models.weights.resolve import MissingWeightsError
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
from stages.evaluate.keypoints import ComparedKeypointsStage
from stages.evaluate.lpips import LpipsConfig, LpipsStage
from stages.evaluate.masks import ComparedMasksStage
from stages.evaluate.pixels import PixelsConfig, PixelsStage
from stages.evaluate.subject import SubjectConfig, SubjectStage
from stages.evaluate.temporal import TemporalConfig, TemporalStage
from stages.prepare.character_mask import CharacterMaskConfig
from stages.prepare.pose import PoseConfig

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
    keypoints: PoseConfig = field(default_factory=PoseConfig)
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


def stages_of(measures: Collection[str]) -> tuple[str, ...]:
    """Stages that measures are computed by, in execution order.

    Args:
        measures: names of measures, or of stages for all measures of each; empty: all measures.

    Raises:
        ValueError: an unknown name.
    """
    stage_of = {name: measure.stage for name, measure in (*MEASURES.items(), *SET_MEASURES.items())}
    stage_of |= {stage: stage for stage in stage_of.values()}
    if unknown := [name for name in measures if name not in stage_of]:
        raise ValueError(f"unknown measure '{unknown[0]}', expected some of {', '.join(sorted(stage_of))}")
    wanted = {stage_of[name] for name in measures or stage_of}
    # Backwards: a stage that a later one reads from is needed as well.
    columns: set[str] = set()
    chosen = []
    for name, stage in reversed(STAGES.items()):
        if name in wanted or stage.writes & columns:
            chosen.append(name)
            columns |= stage.reads
    return tuple(reversed(chosen))


@dataclass(frozen=True, kw_only=True, slots=True)
class Steps:
    """Steps that can run.

    `missing`: what is said of the weights of each stage that was left out.
    """

    steps: Sequence[Step]
    missing: Mapping[str, str]


def steps(config: EvaluationConfig, workers: Mapping[str, Workers], wanted: Sequence[str]) -> Steps:
    """The steps of the stages `wanted`, without those whose weights are missing.

    Args:
        config: settings of the stages.
        workers: workers by stage name.
        wanted: names of stages, as `stages_of` returns them.

    Raises:
        CheckpointError: a weights file is damaged or not allowed.
    """
    made: list[Step] = []
    missing: dict[str, str] = {}
    available = {*PAIR_COLUMNS, *STAMPED_PAIR_COLUMNS}
    for name in wanted:
        stage = STAGES[name](on_workers(getattr(config, name), workers[name]))
        if lacking := stage.reads - available:  # columns of a stage that was left out
            missing[name] = f"{name} reads {', '.join(sorted(lacking))}"
            continue
        try:
            stage.weights()
        except MissingWeightsError as error:
            missing[name] = str(error)
            continue
        available |= stage.writes
        made.append(Step(stage=stage, workers=workers[name]))
    return Steps(steps=_read_by_others(made), missing=missing)


def _read_by_others(made: Sequence[Step]) -> list[Step]:
    """The steps without those that only write columns in memory which no other step reads, such as masks without the
    network that compares them.
    """
    read = frozenset[str]().union(*(step.stage.reads for step in made))
    return [step for step in made if step.stage.writes - step.stage.transient or step.stage.writes & read]


def networks_of(config: EvaluationConfig, wanted: Sequence[str]) -> dict[str, BackendConfig]:
    """Configuration of the stages `wanted` that run a network, by stage name."""
    sections = {name: getattr(config, name) for name in wanted}
    return {name: section for name, section in sections.items() if isinstance(section, BackendConfig)}


def measures_of(stages: Collection[str]) -> list[str]:
    """Titles of the measures that stages compute, in the order of tables."""
    return [measure.title for measure in (*MEASURES.values(), *SET_MEASURES.values()) if measure.stage in stages]
