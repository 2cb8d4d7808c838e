"""The stages of faces, of consistency, and of DTFVD."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stand_in_weights
from numpy.typing import NDArray
from stand_in_metric_weights import TINY, expect_tiny

from models.metrics.measures import MEASURES
from models.weights.resolve import MissingWeightsError
from stages.backends.base import EMBEDDED
from stages.evaluate.background import BackgroundConfig, BackgroundStage
from stages.evaluate.dtfvd import DtfvdConfig, DtfvdStage
from stages.evaluate.faces import FacesConfig, FacesStage
from stages.evaluate.masks import ComparedMasksStage
from stages.evaluate.subject import SubjectConfig, SubjectStage
from stages.prepare.character_mask import CharacterMaskConfig

Frames = NDArray[np.uint8]


def clip(*colours: tuple[int, int, int]) -> Frames:
    return np.tile(np.array(colours, np.uint8)[:, None, None], (1, 4, 6, 1))


RED, GREEN, BLUE, BLACK = (200, 0, 0), (0, 200, 0), (0, 0, 200), (0, 0, 0)


class Colours:
    """The mean colour of a frame, as its features and as the identity of a face; black frames have no face."""

    def features(self, frames_THWC: Frames) -> NDArray[np.float32]:
        return frames_THWC.mean(axis=(1, 2), dtype=np.float32)

    def faces(self, frames_THWC: Frames) -> tuple[NDArray[np.float32] | None, NDArray[np.bool_]]:
        colours = self.features(frames_THWC)
        lengths = np.linalg.norm(colours, axis=1)
        return colours / np.maximum(lengths, 1)[:, None], lengths > 0


class Detector(Colours):
    def faces(self, frames_THWC: Frames) -> tuple[NDArray[np.float32] | None, NDArray[np.bool_]]:
        return None, super().faces(frames_THWC)[1]


def test_faces_are_compared_where_both_clips_show_one() -> None:
    stage = FacesStage(FacesConfig())
    stage.backend = Colours()
    row = {"animation_frames": clip(RED, BLUE, RED, BLACK), "truth_frames": clip(RED, RED, BLACK, BLACK)}
    assert stage.process(row) == {"face_det": 0.75, "face_det_truth": 0.5, "face_cos": pytest.approx(0.5)}
    row = {"animation_frames": clip(RED, BLACK), "truth_frames": clip(BLACK, RED)}
    assert stage.process(row) == {"face_det": 0.5, "face_det_truth": 0.5, "face_cos": None}


def test_faces_are_counted_without_a_network_that_recognises_them() -> None:
    stage = FacesStage(FacesConfig(backend="yunet"))
    stage.backend = Detector()
    row = {"animation_frames": clip(RED, BLACK), "truth_frames": clip(RED, RED)}
    assert stage.process(row) == {"face_det": 0.5, "face_det_truth": 1.0, "face_cos": None}


def test_the_subject_drifts_from_its_truth() -> None:
    stage = SubjectStage(SubjectConfig())
    stage.backend = Colours()
    row = {"animation_frames": clip(RED, RED, GREEN, GREEN), "truth_frames": clip(RED, RED, RED, RED)}
    assert stage.process(row) == {
        # With the first frame: 1, 0, 0. With the frame before: 1, 0, 1.
        "subject_consistency": pytest.approx(0.5),
        "subject_consistency_truth": pytest.approx(1),
        "identity_drift": pytest.approx(1),
    }


@pytest.mark.parametrize("frames", [clip(RED), np.zeros((3, 17, 2, 3), np.uint8), np.zeros((3, 2, 17, 3), np.uint8)])
def test_one_frame_and_elongated_ones_have_no_consistency(frames: Frames) -> None:
    row = {"animation_frames": frames, "truth_frames": frames}
    for stage in (SubjectStage(SubjectConfig()), BackgroundStage(BackgroundConfig())):
        stage.backend = Colours()
        assert set(stage.process(row).values()) == {None}


def test_the_background_is_consistent_by_its_own_network() -> None:
    stage = BackgroundStage(BackgroundConfig())
    stage.backend = Colours()
    row = {"animation_frames": clip(RED, GREEN), "truth_frames": clip(RED, RED)}
    assert stage.process(row) == {"background_consistency": 0, "background_consistency_truth": pytest.approx(1)}


class Thirds:
    """Masks of another third of the frame in each clip, to be told apart."""

    def character_mask(self, frames_THWC: Frames, keypoints: NDArray[np.float32]) -> NDArray[np.bool_]:
        mask = np.zeros(frames_THWC.shape[:3], bool)
        mask[..., int(keypoints[0, 0, 0]) :] = True
        return mask


def test_character_and_scenery_are_cut_out_of_both_clips() -> None:
    keypoints = np.zeros((2, 133, 3), np.float32)
    row = {
        "animation_frames": clip(RED, RED),
        "truth_frames": clip(BLUE, BLUE),
        "animation_keypoints": keypoints + 4,
        "truth_keypoints": keypoints + 3,
    }
    masks = ComparedMasksStage(CharacterMaskConfig(backend=EMBEDDED))
    masks.backend = Thirds()
    row |= masks.process(row)
    stage = DtfvdStage(DtfvdConfig())
    stage.backend = Colours()
    columns = stage.process(row)
    assert columns.keys() == stage.writes
    grey = np.float32(127)
    shares = {"_features": 1 / 3, "_truth_features": 1 / 2}
    for side, colour in (("_features", RED), ("_truth_features", BLUE)):
        colour_3, share = np.array(colour, np.float32), shares[side]
        np.testing.assert_allclose(columns[f"dtfvd{side}"], [colour_3, colour_3])
        character = share * colour_3 + (1 - share) * grey
        np.testing.assert_allclose(columns[f"dtfvd_fg{side}"], [character, character], atol=1e-4)
        scenery = (1 - share) * colour_3 + share * grey
        np.testing.assert_allclose(columns[f"dtfvd_bg{side}"], [scenery, scenery], atol=1e-4)


@pytest.mark.parametrize(
    ("stage", "config", "parts", "compared"),
    [
        (FacesStage, FacesConfig, ("yunet", "adaface-ir-101"), {"face_det", "face_det_truth", "face_cos"}),
        (FacesStage, FacesConfig, ("yunet",), {"face_det", "face_det_truth"}),
        (SubjectStage, SubjectConfig, ("dino-vit-b16",), SubjectStage.writes),
        (BackgroundStage, BackgroundConfig, ("clip-vit-b32",), BackgroundStage.writes),
    ],
)
def test_stages_open_the_published_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: Any, config: Any, parts: tuple[str, ...], compared: set[str]
) -> None:
    expect_tiny(monkeypatch)
    stand_in_weights.forget_digests(monkeypatch)
    settings = {"backend": "yunet"} if parts == ("yunet",) else {}
    made = stage(config(weights=str(tmp_path), device="cpu", **settings))
    with pytest.raises(MissingWeightsError, match=parts[0]):
        made.weights()
    stand_in_weights.fill(tmp_path, parts, makers=TINY)
    assert {name.partition("/")[0] for name in made.weights()} == set(parts)
    made.open()
    # A red cell of the 640 x 640 pixels to which the detector fits the frame.
    frames = np.random.default_rng(0).integers(0, 40, (3, 320, 320, 3), dtype=np.uint8)
    frames[:, 96:112, 96:112] = (255, 0, 0)
    values = made.process({"animation_frames": frames, "truth_frames": frames})
    assert {name for name, value in values.items() if value is not None} >= compared
    assert values.get("face_det", 1) == 1
    assert values.get("face_cos") in (None, pytest.approx(1))


@pytest.mark.parametrize("stage", [FacesStage, SubjectStage, BackgroundStage])
def test_every_measure_of_the_stage_is_a_column(stage: type[FacesStage | SubjectStage | BackgroundStage]) -> None:
    names = {name for name, measure in MEASURES.items() if measure.stage == stage.name}
    assert stage.writes == names | {f"{name}_truth" for name in names if MEASURES[name].has_truth}
