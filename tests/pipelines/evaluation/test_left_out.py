"""Stages of evaluate whose weights are missing, and stages that only they read."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import stand_in_weights
from stand_in_metric_weights import TINY

from pipelines.engine.steps import Workers
from pipelines.evaluation.steps import STAGES, EvaluationConfig, Steps, stages_of, steps
from stages.evaluate.dtfvd import DtfvdConfig


def made_of(measures: list[str], weights: Path) -> Steps:
    config = EvaluationConfig(dtfvd=DtfvdConfig(weights=str(weights)))
    return steps(config, {name: Workers() for name in STAGES}, stages_of(measures))


def test_masks_are_for_dtfvd_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "masks" not in stages_of(["psnr_db", "fvd", "pck"])
    assert stages_of(["dtfvd_bg"]) == ("frames", "keypoints", "masks", "dtfvd")
    stand_in_weights.forget_digests(monkeypatch)
    stand_in_weights.fill(tmp_path, ["i3d-dtdb"], makers=TINY)
    made = made_of(["dtfvd"], tmp_path)
    assert [step.stage.name for step in made.steps] == ["frames", "keypoints", "masks", "dtfvd"]
    assert made.missing == {}


def test_without_its_weights_no_masks_are_made(tmp_path: Path) -> None:
    made = made_of(["pck", "dtfvd"], tmp_path)
    assert [step.stage.name for step in made.steps] == ["frames", "keypoints"]
    assert list(made.missing) == ["dtfvd"]
    assert "i3d-dtdb is not in" in made.missing["dtfvd"]


def test_a_stage_that_reads_from_a_missing_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in_weights.forget_digests(monkeypatch)
    stand_in_weights.fill(tmp_path, ["i3d-dtdb"], makers=TINY)
    config = EvaluationConfig(dtfvd=DtfvdConfig(weights=str(tmp_path)))
    masks = dataclasses.replace(config.masks, backend="sam2", weights=str(tmp_path))
    config = dataclasses.replace(config, masks=masks)
    made = steps(config, {name: Workers() for name in STAGES}, stages_of(["dtfvd"]))
    assert list(made.missing) == ["masks", "dtfvd"]
    assert made.missing["dtfvd"] == "dtfvd reads animation_mask, truth_mask"
