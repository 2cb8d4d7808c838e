from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.pose.skeleton import INDEX
from models.puppets import render, sample_spec
from models.puppets.render import PuppetFrame
from models.puppets.truth_file import write_truth
from pipelines.training.ground_truth import true_keypoints, true_keypoints_and_scene
from stages.io.storage import Storage
from stages.outcome import BadRow

FPS = 8.0


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """Folder with the ground truth of `dance.mp4`, five frames of 64 × 48, and its keypoints."""
    folder = tmp_path_factory.mktemp("truth")
    spec = sample_spec(3, size_px=(64, 48), num_shots=1, duration_seconds=1.0)
    frames = list(render(spec, FPS, 5))
    seconds = [index / FPS for index in range(5)]
    write_truth(folder / "dance.npz", frames, frame_seconds=seconds, shot_starts_seconds=[0.0])
    (folder / "broken.npz").write_bytes(b"PK\x03\x04 no archive")
    return folder, np.stack([frame.keypoints for frame in frames])


def clip(**changes: Any) -> dict[str, Any]:
    row = {"uri": "s3://corpus/videos/dance.mp4", "frame_seconds": [0.25, 0.5]}
    return {**row, "work_height_px": 64, "work_width_px": 48, **changes}


def test_keypoints_match_frames_and_score_presence(truth: tuple[Path, np.ndarray]) -> None:
    folder, keypoints = truth
    found = true_keypoints(Storage(str(folder)), clip())
    assert (found.shape, found.dtype) == ((2, 133, 3), np.float32)
    np.testing.assert_allclose(found[..., :2], keypoints[[2, 4], :, :2], atol=1e-4)
    np.testing.assert_array_equal(found[..., 2], keypoints[[2, 4], :, 2] > 0)


def test_keypoints_are_in_pixels_of_the_working_size(truth: tuple[Path, np.ndarray]) -> None:
    folder, keypoints = truth
    found = true_keypoints(Storage(str(folder)), clip(work_height_px=128, work_width_px=96))
    # The centre of a pixel lies at the corner of pixels of half the size.
    np.testing.assert_allclose(found[..., :2], 2 * keypoints[[2, 4], :, :2] + 0.5, atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"uri": "videos/absent.mp4"}, r"NotFound.*absent\.npz does not exist"),
        ({"uri": "videos/broken.mp4"}, r"InvalidRow.*broken\.npz is no ground truth of a puppet video"),
        ({"frame_seconds": [0.25, 0.6]}, r"InvalidRow.*a frame of the clip is 0\.100 s from the nearest"),
    ],
)
def test_rejects_ground_truth_of_another_video(
    truth: tuple[Path, np.ndarray], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadRow) as error:
        true_keypoints(Storage(str(truth[0])), clip(**changes))
    assert re.search(message, f"{error.value.reason}: {error.value.message}")


@pytest.fixture(scope="module")
def with_objects(tmp_path_factory: pytest.TempPathFactory) -> tuple[Storage, list[PuppetFrame]]:
    """Ground truth of `box.mp4`, with a lamp and a box, and its frames."""
    folder = tmp_path_factory.mktemp("objects")
    spec = sample_spec(1, size_px=(64, 64), num_shots=1, duration_seconds=1.0, still_camera=True)
    frames = list(render(spec, FPS, 5))
    seconds = [index / FPS for index in range(5)]
    write_truth(folder / "box.npz", frames, frame_seconds=seconds, shot_starts_seconds=[0.0])
    return Storage(str(folder)), frames


@pytest.mark.parametrize("named", [None, [], ["box"], ["lamp", "box"]])
def test_the_scene_has_the_true_masks_of_the_named_objects(
    with_objects: tuple[Storage, list[PuppetFrame]], named: list[str] | None
) -> None:
    truth, frames = with_objects
    row = clip(
        uri="box.mp4", work_width_px=32, work_height_px=32, objects=named and [{"object_id": name} for name in named]
    )
    keypoints, coded = true_keypoints_and_scene(truth, row)
    scene = coded.at((64, 64))
    np.testing.assert_array_equal(keypoints, true_keypoints(truth, row))
    shown = [frames[2], frames[4]]
    assert np.array_equal(scene.character_THW, np.stack([frame.character_mask for frame in shown]))
    objects = np.stack([sum(frame.object_masks[name] for name in named or ("lamp", "box")) for frame in shown]) > 0
    assert objects.any()
    assert np.array_equal(scene.objects_THW, objects)
    assert scene.references_T.all()
    x, y, score = keypoints[0, INDEX["left_shoulder"]]
    assert score == 1
    depth = shown[0].depth[round(2 * y + 0.5), round(2 * x + 0.5)]
    assert scene.joint_depths_TK[0, INDEX["left_shoulder"]] == pytest.approx(depth, abs=0.05)


def test_rejects_objects_without_ground_truth(with_objects: tuple[Storage, list[PuppetFrame]]) -> None:
    with pytest.raises(BadRow, match=r"has no object \['kite'\], it has \['box', 'lamp'\]"):
        true_keypoints_and_scene(with_objects[0], clip(uri="box.mp4", objects=[{"object_id": "kite"}]))
