"""The stages of evaluate that compute measures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compared_videos import moving_frames, worse
from stand_in_metric_weights import TINY, expect_tiny

from models.catalogue import entry
from models.metrics.measures import MEASURES, SET_MEASURES
from models.metrics.pixels import psnr
from models.puppets import render, sample_portrait
from models.weights.resolve import place
from pipelines.engine.rows import to_row, to_table
from pipelines.engine.schema import COMPARED_COLUMNS, dataset_schema
from stages.backends.base import EMBEDDED
from stages.backends.features import FEATURES
from stages.base import Row, Stage
from stages.evaluate.features import FeatureStage, FidConfig, FidStage, FidVidConfig, FidVidStage
from stages.evaluate.keypoints import ComparedKeypointsConfig, ComparedKeypointsStage
from stages.evaluate.lpips import LpipsConfig, LpipsStage
from stages.evaluate.pixels import PixelsConfig, PixelsStage
from stages.evaluate.temporal import TemporalConfig, TemporalStage
from stages.outcome import BadRow


def compared(num_frames: int = 8, size_px: tuple[int, int] = (32, 48), **columns: Any) -> Row:
    truth = moving_frames(1, num_frames=num_frames, size_px=size_px)
    return {"truth_frames": truth, "animation_frames": worse(truth), "window_borders": None, **columns}


def measured(stage: Stage[Any], row: Row) -> Row:
    stage.open()
    made = stage(row)
    return {name: made[name] for name in stage.writes}


def test_pixel_measures_are_means_and_the_worst_frame_is_named() -> None:
    row = compared()
    row["animation_frames"][5] = 0
    values = measured(PixelsStage(PixelsConfig()), row)
    decibels = psnr(row["animation_frames"], row["truth_frames"])
    assert values["psnr_db"] == pytest.approx(decibels.mean())
    assert values["worst_frame"] == 5
    assert 0 < values["ssim"] < 1
    assert values["l1_disco"] == pytest.approx(values["l1"] * 255 / (32 * 48))
    assert values["psnr_wrapped_db"] > values["psnr_db"]


def test_identical_black_and_tiny_clips_have_defined_values() -> None:
    black = np.zeros((3, 32, 48, 3), np.uint8)
    for truth in (black, moving_frames(1)):
        values = measured(PixelsStage(PixelsConfig()), {"animation_frames": truth.copy(), "truth_frames": truth})
        assert (values["psnr_db"], values["l1"], values["ssim"]) == (100.0, 0.0, pytest.approx(1.0))
    tiny = compared(size_px=(6, 9))
    assert measured(PixelsStage(PixelsConfig()), tiny)["ssim"] is None


def test_temporal_measures_are_none_where_they_are_not_defined() -> None:
    stage = TemporalStage(TemporalConfig())
    one = measured(stage, compared(num_frames=1))
    assert set(one.values()) == {None}
    several = measured(stage, compared())
    assert {name for name, value in several.items() if value is None} == {"seam_ratio", "seam_ratio_truth"}
    row = compared(window_borders=np.array([4], np.int32))
    row["animation_frames"][4:] //= 2
    values = measured(stage, row)
    assert values["seam_ratio"] > 1.5 > values["seam_ratio_truth"]
    with pytest.raises(BadRow, match="InvalidRow: window_borders has 8, expected frames of a clip of 8"):
        stage(compared(window_borders=[8]))


def test_keypoints_of_the_truth_itself_agree() -> None:
    stage = ComparedKeypointsStage(ComparedKeypointsConfig(backend=EMBEDDED))
    row = compared()
    values = measured(stage, {**row, "animation_frames": row["truth_frames"]})
    assert values["animation_keypoints"].shape == (8, 133, 3)
    assert (values["pck"], values["keypoint_distance"]) in ((1.0, 0.0), (None, None))
    assert stage.transient == {"animation_keypoints", "truth_keypoints"}


def test_expressions_are_seen_by_the_included_face_network() -> None:
    spec = sample_portrait(3, split="heldout", size_px=(192, 144), duration_seconds=2.0)
    truth = np.stack([frame.rgb for frame in render(spec, 4.0, 8)])
    stage = ComparedKeypointsStage(ComparedKeypointsConfig(backend=EMBEDDED))
    assert stage.weights().keys() == {"embedded-pose", "embedded-face"}

    def face_exp(animation: np.ndarray) -> float:
        return measured(stage, {"animation_frames": animation, "truth_frames": truth})["face_exp"]

    moved = np.roll(truth, 2, axis=2)
    still = np.repeat(truth[:1], len(truth), axis=0)
    assert face_exp(truth) == pytest.approx(0.0, abs=1e-6)
    assert face_exp(moved) < 0.5 * face_exp(still)


class Means:
    """Two features per window of four frames."""

    min_size_px = 16

    def features(self, frames_THWC: np.ndarray) -> np.ndarray:
        windows = len(frames_THWC) // 4
        return (
            frames_THWC[: 4 * windows]
            .reshape(windows, 4, frames_THWC[0].size // 3, 3)
            .mean(axis=(1, 2), dtype=np.float32)
        )

    def distances(self, animation_THWC: np.ndarray, truth_THWC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        difference = np.abs(animation_THWC.astype(np.float32) - truth_THWC).mean(axis=(1, 2, 3))
        return difference / 255, difference


@pytest.mark.parametrize("num_frames", [8, 3])
def test_features_are_columns_of_any_number_of_rows(num_frames: int) -> None:
    stage = FidStage(FidConfig())
    stage.backend = Means()
    made = stage(compared(num_frames=num_frames))
    schema = dataset_schema("evaluate", dataset_schema("evaluate", [], {}), COMPARED_COLUMNS)
    stored = to_row(to_table(made, schema))["fid_features"]
    np.testing.assert_array_equal(stored.reshape(-1, 3), made["fid_features"])
    assert len(stored) == num_frames // 4


def test_features_must_be_finite() -> None:
    class Broken(Means):
        def features(self, frames_THWC: np.ndarray) -> np.ndarray:
            return super().features(frames_THWC) * np.nan

    stage = FidStage(FidConfig())
    stage.backend = Broken()
    with pytest.raises(RuntimeError, match="fid returned features that are not finite"):
        stage(compared())


def test_networks_are_found_in_a_folder_of_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expect_tiny(monkeypatch)
    (name,) = FidVidConfig().parts
    path = place(entry(name), entry(name).files[0], tmp_path)
    path.parent.mkdir(parents=True)
    TINY[name](path)
    stage = FidVidStage(FidVidConfig(weights=str(tmp_path), device="cpu"))
    assert [digest.partition(":")[0] for digest in stage.weights().values()] == ["sha256"]
    values = measured(stage, compared(num_frames=17))
    assert len(values["fid_vid_features"]) == len(values["fid_vid_truth_features"]) == 2
    assert not np.array_equal(values["fid_vid_features"], values["fid_vid_truth_features"])


def test_lpips_has_both_input_ranges() -> None:
    stage = LpipsStage(LpipsConfig())
    stage.backend = Means()
    made = stage(compared())
    assert made["lpips"] == pytest.approx(255 * made["lpips_disco"])
    tiny = stage(compared(size_px=(15, 48)))
    assert (tiny["lpips"], tiny["lpips_disco"]) == (None, None)


def test_every_measure_of_a_stage_is_a_column() -> None:
    for stage in (PixelsStage, TemporalStage, ComparedKeypointsStage, LpipsStage):
        names = {name for name, measure in MEASURES.items() if measure.stage == stage.name}
        columns = names | {f"{name}_truth" for name in names if MEASURES[name].has_truth}
        assert columns == stage.writes - stage.transient - {"worst_frame"}
    for feature_stage in FeatureStage.__subclasses__():
        assert SET_MEASURES[feature_stage.name].stage == feature_stage.name
        assert feature_stage.name in FEATURES
