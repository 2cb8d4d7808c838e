from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from stand_in_weights import fill, forget_digests

from models.catalogue import CATALOGUE
from models.common.digest import CheckpointError
from models.masks import rle
from models.weights.resolve import MissingWeightsError, place
from stages.backends.base import BackendConfig, BackendStage
from stages.prepare.character_mask import CharacterMaskConfig, CharacterMaskStage
from stages.prepare.depth import DepthConfig, DepthStage
from stages.prepare.object_masks import ObjectMasksConfig, ObjectMasksStage
from stages.prepare.pose import PoseConfig, PoseStage

STAGES: dict[str, tuple[type[BackendStage[Any, Any]], type[BackendConfig]]] = {
    "pose": (PoseStage, PoseConfig),
    "depth": (DepthStage, DepthConfig),
    "character mask": (CharacterMaskStage, CharacterMaskConfig),
    "object masks": (ObjectMasksStage, ObjectMasksConfig),
}
BACKENDS = [
    (signal, backend)
    for signal, (_, config) in STAGES.items()
    for backend in config.backends
    if backend not in {"embedded", "sam2-official"}  # these need no files, and a package that few have
]
MODELS = [
    "people",
    "dwpose-detector",
    "dwpose-pose",
    "rtmw-l-384",
    "sapiens-pose-133-1b",
    "sapiens2-pose-1b",
    "sapiens-depth-1b",
    "depth-anything-v2-small",
    "sam2.1-hiera-large",
    "sam3",
]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    fill(folder, MODELS)
    return folder


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_digests(monkeypatch)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "no-cache"))


def stage(signal: str, backend: str, weights: Path, **changes: Any) -> BackendStage[Any, Any]:
    kind, config = STAGES[signal]
    options: dict[str, Any] = {"weights": str(weights), "device": "cpu", "allow_torchscript": True}
    return kind(config(backend=backend, **{**options, **changes}))


def row(frames: np.ndarray) -> dict[str, Any]:
    keypoints = np.random.default_rng(0).uniform(10, 40, (len(frames), 133, 3)).astype(np.float32)
    keypoints[..., 2] = 0.9
    points = [{"x": 20.0, "y": 20.0, "positive": True}]
    return {
        "frames": frames,
        "frame_seconds": np.arange(len(frames)) / 8,
        "keypoints": keypoints,
        "objects": [
            {"object_id": "ball", "seconds": 0.25, "box": [4.0, 6.0, 40.0, 50.0], "points": None},
            {"object_id": "cup", "seconds": 0.0, "box": None, "points": points},
        ],
        "width_px": 48,
        "height_px": 64,
        "work_width_px": 48,
        "work_height_px": 64,
    }


def clip(num_frames: int = 4) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (num_frames, 64, 48, 3), dtype=np.uint8)


def check(signal: str, columns: dict[str, Any], num_frames: int) -> None:
    match signal:
        case "pose":
            assert columns["keypoints"].shape == (num_frames, 133, 3)
            assert columns["keypoints"].dtype == np.float32
            assert columns["num_people"].shape == (num_frames,)
        case "depth":
            assert columns["depth"].shape == (num_frames, 64, 48)
            assert np.isfinite(columns["depth"]).all()
        case "character mask":
            assert rle.decode(columns["character_mask"]).shape == (num_frames, 64, 48)
        case _:
            assert [one["object_id"] for one in columns["object_masks"]] == ["ball", "cup"]
            assert all(rle.decode(one["masks"]).shape == (num_frames, 64, 48) for one in columns["object_masks"])


@pytest.mark.parametrize(("signal", "backend"), BACKENDS)
def test_every_backend_runs_on_files_of_the_published_form(signal: str, backend: str, weights: Path) -> None:
    it = stage(signal, backend, weights)
    digests = it.weights()
    assert digests
    assert all(name.split("/")[0] in it.config.parts for name in digests)
    assert all(digest.startswith("sha256:") for digest in digests.values())
    it.open()
    for frames in (clip(), np.zeros((2, 64, 48, 3), np.uint8)):
        check(signal, it.process(row(frames)), len(frames))
    it.close()


@pytest.mark.parametrize("backend", [backend for signal, backend in BACKENDS if signal == "object masks"])
def test_every_tracker_reaches_a_clip_from_prompts_outside_it(backend: str, weights: Path) -> None:
    it = stage("object masks", backend, weights)
    it.open()
    reads = []

    def frames(part: dict[str, Any], short_side_px: int | None) -> Any:
        reads.append((part["start_seconds"], part["num_frames"]))
        return SimpleNamespace(frames=clip(part["num_frames"]))

    it.reader.close()
    it.reader = SimpleNamespace(frames=frames, close=lambda: None)
    of_shot = {"shot_start_seconds": -1.0, "shot_end_seconds": 1.0}
    columns = {**row(clip()), **of_shot, "start_seconds": 0.0, "num_frames": 4, "frame_step": 1, "fps": 8.0}
    for prompt, seconds in zip(columns["objects"], (-0.25, 0.625), strict=True):
        prompt["seconds"] = seconds
    check("object masks", it.process(columns), 4)
    assert reads == [(-0.25, 2), (0.5, 2)]
    it.close()


@pytest.mark.parametrize("backend", ["people", "dwpose", "sapiens", "sapiens2"])
def test_a_black_clip_shows_nobody(backend: str, weights: Path) -> None:
    it = stage("pose", backend, weights)
    it.open()
    found = it.process({"frames": np.zeros((3, 64, 48, 3), np.uint8), "frame_seconds": np.arange(3) / 8})
    assert not found["keypoints"].any()
    assert not found["num_people"].any()


@pytest.mark.parametrize("backend", ["sapiens", "depth-anything"])
def test_near_is_small_whatever_the_network_says(backend: str, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sapiens' stand-in says a red pixel is far; Depth Anything's output, inverse depth, is put in its place."""
    it = stage("depth", backend, weights)
    it.open()
    frames = np.zeros((2, 64, 48, 3), np.uint8)
    frames[:, :, 24:, 0] = 255
    if backend == "depth-anything":

        class Inverse(torch.nn.Module):
            def forward(self, images: torch.Tensor) -> Any:
                red = images[:, 0]
                return type("Output", (), {"predicted_depth": red.amax() - red})

        monkeypatch.setattr(it.backend, "network", Inverse())
    depth = it.process({"frames": frames})["depth"]
    assert depth[:, :, :16].mean() < depth[:, :, -16:].mean()


@pytest.mark.parametrize(("signal", "backend"), BACKENDS)
def test_a_missing_file_is_named_before_anything_starts(signal: str, backend: str, tmp_path: Path) -> None:
    it = stage(signal, backend, tmp_path)
    first = CATALOGUE[it.config.parts[0]]
    for call in (it.weights, it.open):
        with pytest.raises(MissingWeightsError) as missing:
            call()
        assert str(place(first, first.files[0], tmp_path)) in str(missing.value)


@pytest.mark.parametrize(("signal", "backend"), [pair for pair in BACKENDS if pair[1] == "sapiens"])
def test_torchscript_is_opened_only_when_allowed(signal: str, backend: str, weights: Path) -> None:
    it = stage(signal, backend, weights, allow_torchscript=False)
    for call in (it.weights, it.open):
        with pytest.raises(CheckpointError, match=r"sapiens-\S+ is a TorchScript file.*--allow-torchscript"):
            call()


@pytest.mark.parametrize(
    ("signal", "backend", "name"),
    [
        ("pose", "sapiens", "sapiens-pose-133-1b"),
        ("depth", "depth-anything", "depth-anything-v2-small"),
        ("character mask", "sam2", "sam2.1-hiera-large"),
    ],
)
def test_a_cut_file_is_one_message_before_anything_starts(signal: str, backend: str, name: str, tmp_path: Path) -> None:
    fill(tmp_path, STAGES[signal][1](backend=backend).parts)
    path = place(CATALOGUE[name], CATALOGUE[name].files[-1], tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=f"{path.name} .*fetch it again from https://"):
        stage(signal, backend, tmp_path).weights()


def test_a_wrong_digest_is_one_message_before_anything_starts(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.catalogue.CATALOGUE", CATALOGUE)
    with pytest.raises(CheckpointError, match=r"is not the published yolox_l\.onnx of yzd-v/DWPose"):
        stage("pose", "dwpose", weights).weights()


def test_a_worker_with_other_files_than_the_plan_is_stopped(tmp_path: Path) -> None:
    fill(tmp_path, ["depth-anything-v2-small"])
    it = stage("depth", "depth-anything", tmp_path)
    it.weights()
    path = place(CATALOGUE["depth-anything-v2-small"], CATALOGUE["depth-anything-v2-small"].files[0], tmp_path)
    path.write_text(path.read_text() + "\n")
    with pytest.raises(CheckpointError, match=r"depth-anything-v2-small/config\.json on this worker is not the file"):
        it.open()


def test_character_and_objects_share_one_sam2(weights: Path) -> None:
    character, objects = stage("character mask", "sam2", weights), stage("object masks", "sam2", weights)
    character.open()
    objects.open()
    assert character.backend.tracker is objects.backend.tracker


@pytest.mark.parametrize("signal", ["character mask", "object masks"])
def test_the_publishers_sam2_is_a_file_of_its_own(signal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it = stage(signal, "sam2-official", tmp_path, model="sam2.1-hiera-tiny-official")
    with pytest.raises(MissingWeightsError, match=r"facebook/sam2\.1-hiera-tiny/sam2\.1_hiera_tiny\.pt"):
        it.weights()
    path = tmp_path / "facebook" / "sam2.1-hiera-tiny" / "sam2.1_hiera_tiny.pt"
    path.parent.mkdir(parents=True)
    torch.save({"model": {"no_mem_embed": torch.zeros(1)}}, path)
    monkeypatch.setitem(sys.modules, "sam2.build_sam", None)
    with pytest.raises(CheckpointError, match=r"pip install 'zoetrope\[sam2\]'"):
        it.open()


def test_a_clip_without_a_skeleton_has_an_empty_mask(weights: Path) -> None:
    it = stage("character mask", "sam2", weights)
    it.open()
    found = it.process({"frames": clip(), "keypoints": np.zeros((4, 133, 3), np.float32)})
    assert not rle.decode(found["character_mask"]).any()


def test_a_model_is_one_of_the_backends_own() -> None:
    with pytest.raises(ValueError, match=r"'sam2' has no model 'sam3'; it has sam2\.1-hiera-large, "):
        CharacterMaskConfig(backend="sam2", model="sam3")
    with pytest.raises(ValueError, match="'embedded' has no model 'big'; it has the included one, or a folder"):
        PoseConfig(backend="embedded", model="big")
