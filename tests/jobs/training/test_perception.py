from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from jobs.training.perception import TrainPerceptionConfig, train_perception
from jobs.training.puppet_networks import puppet_network_recipe
from models.common.digest import file_digest
from models.common.safetensors_file import read_metadata
from models.perception.embedded import EmbeddedFigure
from models.perception.embedded_objects import EmbeddedObjects
from models.perception.face_landmarks import FaceLandmarks

RECIPE = puppet_network_recipe(steps=2, batch_size=2, warmup_steps=1)


def config(folder: Path) -> TrainPerceptionConfig:
    return TrainPerceptionConfig(
        work=folder / "work",
        out=folder / "out",
        figure=RECIPE,
        object=RECIPE,
        face=RECIPE,
        num_videos=8,
        frames_per_video=1,
        heldout_videos=4,
        heldout_clips=1,
        heldout_interactions=1,
        num_portraits=2,
        heldout_portraits=1,
        render_processes=1,
    )


def test_the_job_writes_checkpoints_and_card_and_can_start_from_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    scores = train_perception(config(tmp_path))
    out = tmp_path / "out"
    closing = caplog.records[-1].getMessage()
    assert closing.startswith("train perception: figure 2 of 2 steps, keypoints ")
    assert "; face 2 of 2 steps, keypoints " in closing
    assert f"; checkpoints: {out}; " in closing
    assert sorted(file.name for file in out.iterdir()) == [
        "CARD.md",
        *(f"{name}.safetensors" for name in ("face", "figure", "object")),
    ]
    EmbeddedFigure(out / "figure.safetensors")
    EmbeddedObjects(out / "object.safetensors")
    FaceLandmarks(out / "face.safetensors")
    card = (out / "CARD.md").read_text()
    assert f"| {scores['character_iou']:.3f} |" in card
    assert f"| {scores['face_mouth_error']:.3f} | {scores['figure_mouth_error']:.3f} |" in card
    assert all(file_digest(out / f"{name}.safetensors") in card for name in ("figure", "face"))
    assert {"pck", "limb_depth_order", "object_iou_box", "object_iou_tracked", "presence_recall"} <= scores.keys()
    assert f"| {scores['object_iou_handled']:.3f} |" in card

    before = file_digest(out / "object.safetensors")
    further = replace(config(tmp_path), work=tmp_path / "work2", start_from=out, networks=("figure",))
    train_perception(further)
    about = read_metadata(out / "figure.safetensors")
    assert (about["steps"], about["earlier_steps"]) == (2, 2)
    assert file_digest(out / "object.safetensors") == before


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"networks": ()}, "networks must name"),
        ({"networks": ("figure", "faces")}, "networks must name"),
        ({"first_seed": 5_999_999}, "training seeds must lie in"),
        ({"first_seed": 5_990_000, "num_portraits": 20_000}, "training seeds must lie in"),
        ({"first_seed": -1}, "training seeds must lie in"),
    ],
)
def test_invalid_configurations_are_refused(tmp_path: Path, settings: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TrainPerceptionConfig(work=tmp_path, out=tmp_path, **settings)
