"""Networks that `zoetrope train perception` and `train appearance` wrote, in place of the included ones."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from puppet_media import puppet_frames
from trained_networks import write_appearance_networks, write_perception, write_small_figure

from models.common.digest import CheckpointError, file_digest
from models.perception.shipped import CHECKPOINTS
from stages.backends.base import BackendStage
from stages.evaluate.keypoints import ComparedKeypointsConfig, ComparedKeypointsStage
from stages.prepare.character_mask import CharacterMaskConfig, CharacterMaskStage
from stages.prepare.depth import DepthConfig, DepthStage
from stages.prepare.features import ClipEmbeddingsConfig, ClipEmbeddingsStage, VaeLatentsConfig, VaeLatentsStage
from stages.prepare.object_masks import ObjectMasksConfig, ObjectMasksStage
from stages.prepare.pose import PoseConfig, PoseStage

FRAMES = puppet_frames(8, num_frames=2)
SECONDS = np.arange(2) / 8


def pose(place: object) -> PoseStage:
    return PoseStage(PoseConfig(backend="embedded", model=None if place is None else str(place)))


def keypoints(stage: PoseStage) -> np.ndarray:
    stage.open()
    found: np.ndarray = stage.process({"frames": FRAMES, "frame_seconds": SECONDS})["keypoints"]
    return found


def test_a_folder_a_training_job_and_a_file_name_the_same_network(tmp_path: Path) -> None:
    folder = write_perception(tmp_path / "mine" / "published", "figure")
    included, digest = pose(None), file_digest(folder / "figure.safetensors")
    names = {}
    for place in (folder, tmp_path / "mine", folder / "figure.safetensors"):
        stage = pose(place)
        assert stage.weights() == {"embedded-pose": digest}
        names[place.name] = stage.networks({})["pose"]
        assert not np.array_equal(keypoints(stage), keypoints(included))
    assert stage.weights().keys() == included.weights().keys()
    assert names == {
        "published": "embedded@mine-published",
        "mine": "embedded@mine",
        "figure.safetensors": "embedded@mine-published",
    }


def test_a_network_in_an_object_store_is_fetched_by_every_worker(tmp_path: Path) -> None:
    import fsspec

    write_perception(tmp_path, "figure")
    fsspec.filesystem("memory").put(str(tmp_path / "figure.safetensors"), "/nets/figure.safetensors")
    planned = pose("memory://nets")
    assert planned.weights() == pose(tmp_path).weights()
    worker = pickle.loads(pickle.dumps(planned))
    assert np.array_equal(keypoints(worker), keypoints(pose(tmp_path)))


@pytest.mark.parametrize(
    ("kind", "config", "file"),
    [
        (DepthStage, DepthConfig, "figure"),
        (CharacterMaskStage, CharacterMaskConfig, "figure"),
        (ObjectMasksStage, ObjectMasksConfig, "object"),
        (ClipEmbeddingsStage, ClipEmbeddingsConfig, "image_encoder"),
        (VaeLatentsStage, VaeLatentsConfig, "vae"),
    ],
)
def test_every_signal_of_the_included_networks_takes_one(kind: Any, config: Any, file: str, tmp_path: Path) -> None:
    write_perception(write_appearance_networks(tmp_path), "figure", "object")
    included: BackendStage[Any, Any] = kind(config(backend="embedded"))
    trained: BackendStage[Any, Any] = kind(config(backend="embedded", model=str(tmp_path)))
    assert list(trained.weights().values()) == [file_digest(tmp_path / f"{file}.safetensors")]
    assert trained.weights().keys() == included.weights().keys()
    row = {"frames": FRAMES, "keypoints": keypoints(pose(None)), "frame_seconds": SECONDS}
    height, width = FRAMES.shape[1:3]
    row |= {"width_px": width, "height_px": height, "work_width_px": width, "work_height_px": height}
    row["objects"] = [{"object_id": "a", "seconds": 0.0, "box": [2.0, 2.0, width - 2.0, height - 2.0], "points": None}]
    results = []
    for stage in (included, trained):
        stage.open()
        results.append(stage.process(row))
    if kind not in (CharacterMaskStage, ObjectMasksStage):  # whose pixels need not differ
        assert pickle.dumps(results[0]) != pickle.dumps(results[1])
    assert results[0].keys() == results[1].keys()


def test_a_network_of_other_widths_is_one_of_the_kind(tmp_path: Path) -> None:
    assert keypoints(pose(write_small_figure(tmp_path))).shape == (2, 133, 3)


def test_expressions_are_read_by_the_folders_own_face_network(tmp_path: Path) -> None:
    def weights(folder: Path) -> dict[str, str]:
        stage = ComparedKeypointsStage(ComparedKeypointsConfig(backend="embedded", model=str(folder)))
        stage.open()
        row = {"animation_frames": FRAMES, "truth_frames": FRAMES}
        assert stage.process(row)["keypoint_distance"] == 0
        return dict(stage.weights())

    alone = write_perception(tmp_path / "alone", "figure")
    both = write_perception(tmp_path / "both", "figure", "face")
    assert weights(alone)["embedded-face"] == file_digest(CHECKPOINTS / "face.safetensors")
    assert weights(both)["embedded-face"] == file_digest(both / "face.safetensors")
    assert weights(both)["embedded-pose"] == weights(alone)["embedded-pose"]
    assert weights(alone / "figure.safetensors") == weights(alone)


@pytest.mark.parametrize("fault", ["absent", "empty folder", "damaged", "another network", "no metadata", "a folder"])
def test_what_cannot_be_used_is_named_on_one_line(fault: str, tmp_path: Path) -> None:
    file = tmp_path / "figure.safetensors"
    words = f"{file} "
    match fault:
        case "absent":
            tmp_path = tmp_path / "nothing"
            words = f"{tmp_path} holds no figure.safetensors, expected the folder to which `zoetrope train perception`"
        case "empty folder":
            words = f"{tmp_path} holds no figure.safetensors"
        case "damaged":
            write_perception(tmp_path, "figure")
            file.write_bytes(file.read_bytes()[:-10])
        case "another network":
            shutil.copy(CHECKPOINTS / "face.safetensors", file)
            words = f"{file} is of another architecture than the figure.safetensors that `zoetrope train perception`"
        case "no metadata":
            import torch
            from safetensors.torch import save_file

            save_file({"a": torch.zeros(2)}, file)
            words = f"{file} is of another architecture"
        case "a folder":
            file.mkdir()
    stage = pose(tmp_path)
    for call in (stage.weights, stage.open):
        with pytest.raises(CheckpointError) as raised:
            call()
        assert words in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_worker_with_another_file_stops(tmp_path: Path) -> None:
    write_perception(tmp_path, "figure")
    stage = pose(tmp_path)
    stage.weights()
    worker = pickle.loads(pickle.dumps(stage))
    write_small_figure(tmp_path)
    with pytest.raises(CheckpointError, match="embedded-pose on this worker is not the file that the job was planned"):
        worker.open()
    (tmp_path / "figure.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"holds no figure\.safetensors"):
        worker.open()


def test_published_networks_take_no_place() -> None:
    with pytest.raises(ValueError, match="'dwpose' has no model '/nets'; it has dwpose"):
        PoseConfig(backend="dwpose", model="/nets")
