"""The stages of evaluate with files in the published formats, from the folder of weights to the columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stand_in_weights
from compared_videos import moving_frames, worse
from stand_in_metric_weights import TINY, expect_tiny

from models.common.digest import CheckpointError
from models.weights.resolve import MissingWeightsError
from stages.base import Row, Stage
from stages.evaluate.features import FidConfig, FidStage, FidVidConfig, FidVidStage, FvdConfig, FvdStage
from stages.evaluate.lpips import LpipsConfig, LpipsStage

STAGES: list[tuple[type[Stage[Any]], type[Any]]] = [
    (LpipsStage, LpipsConfig),
    (FidStage, FidConfig),
    (FidVidStage, FidVidConfig),
    (FvdStage, FvdConfig),
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    stand_in_weights.fill(folder, TINY, makers=TINY)
    return folder


def pair(num_frames: int) -> Row:
    truth = moving_frames(1, num_frames=num_frames, size_px=(32, 48))
    return {"truth_frames": truth, "animation_frames": worse(truth)}


@pytest.mark.parametrize(("stage", "config"), STAGES)
def test_a_stage_measures_with_its_published_files(
    weights: Path, monkeypatch: pytest.MonkeyPatch, stage: type[Stage[Any]], config: type[Any]
) -> None:
    stand_in_weights.forget_digests(monkeypatch)
    expect_tiny(monkeypatch)
    opened = stage(config(weights=str(weights)))
    opened.open()
    made = opened(pair(18))
    if stage is LpipsStage:
        assert 0 < made["lpips_disco"] != made["lpips"] > 0
        return
    name = stage.name
    animation, truth = made[f"{name}_features"], made[f"{name}_truth_features"]
    assert len(animation) == len(truth) == (18 if stage is FidStage else 3)
    assert not np.allclose(animation, truth)
    assert len(opened(pair(15))[f"{name}_features"]) == (15 if stage is FidStage else 0)


@pytest.mark.parametrize(("stage", "config"), STAGES)
def test_a_missing_file_is_named(tmp_path: Path, stage: type[Stage[Any]], config: type[Any]) -> None:
    with pytest.raises(MissingWeightsError, match=r"put .*\.pth?\b.* at "):
        stage(config(weights=str(tmp_path))).weights()


def test_a_stand_in_is_not_the_published_file(weights: Path) -> None:
    with pytest.raises(CheckpointError, match="is not the published pt_inception-2015-12-05-6726825d"):
        FidStage(FidConfig(weights=str(weights))).weights()
