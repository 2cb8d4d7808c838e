from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from small_jobs import small_config

from models.common.digest import CheckpointError
from models.metrics.measures import MEASURES, SET_MEASURES
from pipelines.engine.keys import stage_keys
from pipelines.engine.schema import PAIR_COLUMNS, STAMPED_PAIR_COLUMNS
from pipelines.engine.steps import Workers, check
from pipelines.evaluation.steps import (
    KEY_COLUMNS,
    STAGES,
    WRITTEN,
    EvaluationConfig,
    measures_of,
    stages_of,
    steps,
    with_inputs,
)
from stages.evaluate.dtfvd import DtfvdConfig
from stages.evaluate.keypoints import ComparedKeypointsConfig
from stages.evaluate.lpips import LpipsConfig

PUPPETS = small_config().evaluate
WORKERS = dict.fromkeys(STAGES, Workers())


def test_stages_have_sections_and_typed_columns() -> None:
    assert [field.name for field in dataclasses.fields(EvaluationConfig)] == list(STAGES)
    made = [stage(getattr(EvaluationConfig(), name)) for name, stage in STAGES.items()]
    durable = frozenset().union(*(stage.writes - stage.transient for stage in made))
    assert durable <= WRITTEN.keys()
    (step,) = steps(PUPPETS, WORKERS, ("frames",)).steps
    check([step], [*PAIR_COLUMNS, *STAMPED_PAIR_COLUMNS])


def test_every_measure_has_a_stage() -> None:
    assert {measure.stage for measure in (*MEASURES.values(), *SET_MEASURES.values())} <= STAGES.keys()
    assert with_inputs(stages_of(())) == tuple(STAGES)


def test_measures_choose_the_stages_that_they_need() -> None:
    assert stages_of(["psnr_db"]) == stages_of(["pixels"]) == ("pixels",)
    assert stages_of(["fvd", "flicker"]) == ("temporal", "fvd")
    assert with_inputs(["dtfvd", "pixels"]) == ("frames", "pixels", "keypoints", "masks", "dtfvd")
    with pytest.raises(ValueError, match="unknown measure 'psnr', expected some of"):
        stages_of(["psnr"])


def test_inputs_of_a_stage_without_weights_do_not_run(tmp_path: Path) -> None:
    config = dataclasses.replace(PUPPETS, dtfvd=DtfvdConfig(weights=str(tmp_path)))
    made = steps(config, WORKERS, ("pixels", "dtfvd"))
    assert [step.stage.name for step in made.steps] == ["frames", "pixels"]
    assert measures_of(made.missing) == ["DTFVD", "FG-DTFVD", "BG-DTFVD"]


def test_stages_that_read_from_one_without_weights_are_left_out(tmp_path: Path) -> None:
    config = dataclasses.replace(PUPPETS, keypoints=ComparedKeypointsConfig(backend="dwpose", weights=str(tmp_path)))
    made = steps(config, WORKERS, ("pixels", "keypoints", "dtfvd"))
    assert [step.stage.name for step in made.steps] == ["frames", "pixels"]
    assert measures_of(made.missing) == ["PCK@0.1", "key point distance", "Face-Exp", "DTFVD", "FG-DTFVD", "BG-DTFVD"]
    assert len({weights.message for weights in made.missing.values()}) == 1


def test_stages_without_weights_are_left_out_and_named(tmp_path: Path) -> None:
    config = dataclasses.replace(PUPPETS, lpips=LpipsConfig(weights=str(tmp_path)))
    made = steps(config, WORKERS, ("pixels", "lpips"))
    assert [step.stage.name for step in made.steps] == ["frames", "pixels"]
    (weights,) = made.missing.values()
    assert weights.entries == LpipsConfig().parts
    assert str(tmp_path) in weights.message
    assert measures_of(made.missing) == ["LPIPS (DisCo)", "LPIPS"]


def test_a_new_measure_changes_no_other_key() -> None:
    few, more = (
        stage_keys([step.stage for step in steps(PUPPETS, WORKERS, stages_of(names)).steps])
        for names in (["pixels"], ["pixels", "temporal"])
    )
    assert few.items() <= more.items()


def test_damaged_weights_stop_the_job(tmp_path: Path) -> None:
    from models.catalogue import entry

    for name in LpipsConfig().parts:
        for file in entry(name).files:
            path = tmp_path / entry(name).repository / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
    with pytest.raises(CheckpointError):
        steps(dataclasses.replace(PUPPETS, lpips=LpipsConfig(weights=str(tmp_path))), WORKERS, ("lpips",))


def test_names_of_models_and_settings_make_no_row_stale() -> None:
    assert {"animation_stamp", "truth_stamp", "truth_num_frames", "window_borders"} <= set(KEY_COLUMNS)
    assert not {"model", "setting", "animation_id"} & set(KEY_COLUMNS)
