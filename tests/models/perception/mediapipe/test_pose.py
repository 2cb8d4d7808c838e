from __future__ import annotations

import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from stand_in_tflite import save_body, save_hand

from models.common.digest import CheckpointError
from models.perception.mediapipe.body import Body, BodyLandmarks
from models.perception.mediapipe.depth import MediapipeDepth
from models.perception.mediapipe.detector import merged
from models.perception.mediapipe.mask import MediapipeMask, picture_mask
from models.perception.mediapipe.pose import MediapipePose
from models.perception.mediapipe.region import Region
from models.perception.mediapipe.tracking import DETECT_EVERY_FRAMES
from models.pose.skeleton import FACE, INDEX, LEFT_HAND, RIGHT_HAND

SMALL_TOES = [INDEX["left_small_toe"], INDEX["right_small_toe"]]


def clip(present: list[bool], size: tuple[int, int] = (120, 90)) -> np.ndarray:
    frames = np.zeros((len(present), *size, 3), np.uint8)
    frames[present] = 90
    return frames


def test_a_person_has_all_keypoints_but_the_small_toes(stand_in: MediapipePose) -> None:
    people = stand_in.people(clip([True, True]))
    assert people.num_people.tolist() == [1, 1]
    for keypoints in people.keypoints:
        absent = np.flatnonzero(keypoints[:, 2] == 0)
        assert absent.tolist() == SMALL_TOES
        assert keypoints[INDEX["left_shoulder"], 0] > keypoints[INDEX["right_shoulder"], 0]
        # Each hand is at its own wrist, with the fingers away from the body.
        for side, part, away in (("left", LEFT_HAND, 1), ("right", RIGHT_HAND, -1)):
            assert np.linalg.norm(keypoints[part, :2].mean(0) - keypoints[INDEX[f"{side}_wrist"], :2]) < 15
            assert away * (keypoints[INDEX[f"{side}_middle_4"], 0] - keypoints[part.start, 0]) > 0
        assert np.linalg.norm(keypoints[FACE, :2].mean(0) - keypoints[INDEX["nose"], :2]) < 5


def test_frames_without_a_person_have_no_keypoints_and_the_detector_finds_it_again(stand_in: MediapipePose) -> None:
    present = [True] * 3 + [False] * 2 + [True] * 5
    people = stand_in.people(clip(present))
    assert people.num_people.tolist() == [int(is_present) for is_present in present]
    assert people.keypoints[..., 2].any(axis=1).tolist() == present


def test_the_detector_runs_only_where_it_is_needed(stand_in: MediapipePose, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    run = stand_in.bodies.detector.detect
    monkeypatch.setattr(stand_in.bodies.detector, "detect", lambda frame: calls.append(1) or run(frame))
    stand_in.bodies.bodies(clip([True] * (2 * DETECT_EVERY_FRAMES)))
    assert len(calls) == 2
    stand_in.bodies.bodies(clip([True, False, False, True]))
    assert len(calls) == 2 + 4


def test_bodies_are_found_once_for_pose_mask_and_depth(
    stand_in: MediapipePose, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    find = stand_in.bodies.landmarks.find
    monkeypatch.setattr(stand_in.bodies.landmarks, "find", lambda frame, region: calls.append(1) or find(frame, region))
    frames = clip([True] * 4)
    keypoints = stand_in.keypoints(frames)
    masks = MediapipeMask(stand_in.bodies).character_mask(frames, keypoints)
    MediapipeDepth(stand_in.bodies).depth(frames)
    assert len(calls) == 4
    again = frames.copy()
    np.testing.assert_array_equal(stand_in.keypoints(again), keypoints)
    assert len(calls) == 8
    assert masks.any(axis=(1, 2)).all()


def test_the_mask_is_of_the_given_skeleton(stand_in: MediapipePose) -> None:
    frames = clip([True, True, False])
    keypoints = stand_in.keypoints(frames)
    keypoints[1, :, 0] += 60  # somebody else
    masks = MediapipeMask(stand_in.bodies).character_mask(frames, keypoints)
    assert masks.any(axis=(1, 2)).tolist() == [True, False, False]
    torso = keypoints[0, [INDEX["left_shoulder"], INDEX["right_hip"]], :2].astype(int)
    assert masks[0][torso[:, 1], torso[:, 0]].all()


def test_the_edges_of_a_mask_are_those_of_the_picture(stand_in: MediapipePose) -> None:
    frame = clip([True], size=(480, 360))[0]
    (body,) = stand_in.bodies.bodies(frame[None])[0]
    # The stand-in's mask, moved: its left and right edges are beside those of the person in the picture.
    person = body.region.paste(body.mask.astype(np.float32), (480, 360), outside=0.0) >= 127.5
    frame[person] = (200, 120, 60)
    blurred = cv2.GaussianBlur(np.roll(body.mask, 1, axis=1), (0, 0), 2)
    moved = replace(body, mask=blurred)
    rough = body.region.paste(blurred.astype(np.float32), (480, 360), outside=0.0) >= 127.5
    refined = picture_mask(moved, frame)
    assert (refined != person).sum() < 0.5 * (rough != person).sum()
    # A certain mask stays, whatever the picture shows.
    certain = replace(body, mask=np.where(body.mask > 127, 255, 0).astype(np.uint8))
    noise = np.random.default_rng(0).integers(0, 256, frame.shape, np.uint8)
    assert (picture_mask(certain, noise) == person).mean() > 0.99


def test_depth_is_in_pixels_relative_to_the_hips_and_near_is_small(stand_in: MediapipePose) -> None:
    frames = clip([True, False])
    (body,) = stand_in.bodies.bodies(frames)[0]
    depth = MediapipeDepth(stand_in.bodies).depth(frames)
    assert np.isfinite(depth).all()
    keypoints = stand_in.keypoints(frames)[0]
    near, far = (keypoints[INDEX[f"{side}_elbow"], :2].round().astype(int) for side in ("left", "right"))
    # The stand-in's z falls by one pixel per pixel to the left of the person, and limbs are painted a few pixels wide.
    assert depth[0][near[1], near[0]] == pytest.approx(body.landmarks[13, 2], abs=6)
    assert depth[0][far[1], far[0]] == pytest.approx(body.landmarks[14, 2], abs=6)
    assert depth[0][near[1], near[0]] < -10 < 10 < depth[0][far[1], far[0]]
    assert (depth[1] == depth.max()).all()


def test_two_persons_are_counted_and_the_larger_is_the_character(
    stand_in: MediapipePose, monkeypatch: pytest.MonkeyPatch
) -> None:
    def people_at(frame: np.ndarray, region: Region) -> Body | None:
        return find(np.full_like(frame, 90), region)

    find = stand_in.bodies.landmarks.find
    large, small = Region(x=60, y=60, side_px=110), Region(x=150, y=60, side_px=60)
    detected = [
        type("Found", (), {"box": np.array([r.x - 5, r.y - 45, r.x + 5, r.y], np.float32), "region": r, "score": 0.9})
        for r in (small, large)
    ]
    monkeypatch.setattr(stand_in.bodies.detector, "detect", lambda _: detected)
    monkeypatch.setattr(stand_in.bodies.landmarks, "find", people_at)
    people = stand_in.people(clip([True] * 10, size=(120, 200)))
    # The second look of the detector finds the same persons again.
    assert people.num_people.tolist() == [2] * 10
    assert (people.keypoints[:, INDEX["nose"], 0] < 100).all()


def test_overlapping_detections_are_one_person_at_their_weighted_mean() -> None:
    boxes = np.array([[[0, 0], [10, 10]], [[2, 0], [12, 10]], [[50, 0], [60, 10]]], np.float32)
    points, scores = merged(boxes, np.array([0.9, 0.6, 0.5], np.float32))
    np.testing.assert_allclose(points, [[[0.8, 0], [10.8, 10]], [[50, 0], [60, 10]]], rtol=1e-5)
    assert scores.tolist() == pytest.approx([0.9, 0.5])
    assert len(merged(boxes[:0], np.zeros(0, np.float32))[0]) == 0


def test_a_wrong_file_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no TensorFlow Lite file at"):
        BodyLandmarks(tmp_path / "absent.tflite")
    (tmp_path / "damaged.tflite").write_bytes(b"TFL3" * 100)
    with pytest.raises(CheckpointError, match=r"cannot open .* as TensorFlow Lite: .*damaged or of another format"):
        BodyLandmarks(tmp_path / "damaged.tflite")
    save_hand(tmp_path / "hand.tflite")
    with pytest.raises(CheckpointError, match=r"is of another network: expected one float32 input \(1, 256, 256, 3\)"):
        BodyLandmarks(tmp_path / "hand.tflite")


def test_without_the_package_the_message_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_body(tmp_path / "body.tflite")
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(CheckpointError, match=r"need LiteRT: pip install ai-edge-litert"):
        BodyLandmarks(tmp_path / "body.tflite")


@pytest.mark.weights
@pytest.mark.parametrize(
    ("name", "num_frames"), [("animatex_dance1.mp4", 16), ("wan_animate.mp4", 16), ("xdyna_1.mp4", 16)]
)
def test_published_networks_find_the_people_of_real_clips(
    name: str, num_frames: int, published: MediapipePose, shared_media: Path
) -> None:
    import av

    with av.open(str(shared_media / "driving" / name)) as video:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in islice(video.decode(video=0), num_frames)])
    people = published.people(frames)
    assert people.num_people.tolist() == [1] * num_frames
    keypoints = people.keypoints
    upper = [INDEX["left_shoulder"], INDEX["right_shoulder"]]
    assert keypoints[:, upper, 2].min() > 0.5
    # All three face the camera.
    assert (keypoints[:, INDEX["left_shoulder"], 0] > keypoints[:, INDEX["right_shoulder"], 0]).all()
    assert (keypoints[:, FACE.start, 2] > 0.5).mean() > 0.8
    masks = MediapipeMask(published.bodies).character_mask(frames, keypoints)
    x, y = keypoints[:, upper, :2].round().astype(int).transpose(2, 0, 1)
    assert masks[np.arange(num_frames)[:, None], y, x].mean() > 0.9
