from __future__ import annotations

import pickle
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.pose.skeleton import FEET, INDEX, KEYPOINT_NAMES, LEFT_HAND, LIMBS, RIGHT_HAND
from models.puppets import BACKGROUND_DEPTH, PuppetFrame, PuppetVideoSpec, render, render_frame, sample_spec

SIZE = (160, 128)


@lru_cache(maxsize=256)
def _drawn(seed: int, split: str = "train", time: float = 0.7) -> tuple[PuppetVideoSpec, PuppetFrame]:
    spec = sample_spec(seed, split=split, size_px=SIZE)  # type: ignore[arg-type]
    return spec, render_frame(spec, time)


def _find(condition: object, *, split: str = "train", tries: int = 300) -> PuppetVideoSpec:
    for seed in range(tries):
        spec = sample_spec(seed, split=split, size_px=SIZE)  # type: ignore[arg-type]
        if condition(spec):  # type: ignore[operator]
            return spec
    raise AssertionError("no such puppet among the seeds")


def _same(a: PuppetFrame, b: PuppetFrame) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in ("rgb", "keypoints", "depth", "character_mask")
    ) and all(np.array_equal(a.object_masks[key], b.object_masks[key]) for key in a.object_masks)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["train", "heldout"]), st.floats(0.0, 6.0))
def test_every_frame_is_complete_and_consistent(seed: int, split: str, time: float) -> None:
    spec = sample_spec(seed, split=split, size_px=SIZE)  # type: ignore[arg-type]
    frame = render_frame(spec, time)
    assert frame.rgb.shape == (*SIZE, 3)
    assert frame.rgb.dtype == np.uint8
    assert frame.keypoints.shape == (133, 3)
    assert frame.keypoints.dtype == np.float32
    assert np.isfinite(frame.keypoints).all()
    assert set(np.unique(frame.keypoints[:, 2])) <= {0.0, 1.0, 2.0}
    assert frame.depth.dtype == np.float32
    shown = frame.character_mask.copy()
    for mask in frame.object_masks.values():
        assert not (mask & shown).any()
        shown |= mask
    assert np.array_equal(frame.depth < BACKGROUND_DEPTH, shown)
    if shown.any():
        assert 2.0 < frame.depth[shown].min() <= frame.depth[shown].max() < BACKGROUND_DEPTH - 0.5
    x, y, visibility = frame.keypoints.T
    visible = visibility > 0
    assert (x[visible] > -0.51).all()
    assert (x[visible] < SIZE[1] - 0.49).all()
    assert (y[visible] > -0.51).all()
    assert (y[visible] < SIZE[0] - 0.49).all()
    columns, rows = np.rint(x[visibility == 2]).astype(int), np.rint(y[visibility == 2]).astype(int)
    assert frame.character_mask[rows, columns].all()


def test_frames_do_not_depend_on_the_rendering_order() -> None:
    spec = sample_spec(11, size_px=SIZE)
    inorder = list(render(spec, 8.0, 4))
    again = [render_frame(pickle.loads(pickle.dumps(spec)), index / 8.0) for index in (3, 1, 0, 2)]
    for first, second in zip((inorder[i] for i in (3, 1, 0, 2)), again, strict=True):
        assert _same(first, second)


def test_seed_and_split_determine_the_video() -> None:
    assert sample_spec(5) == sample_spec(5)
    assert sample_spec(5) != sample_spec(6)
    assert sample_spec(5).motion.name != sample_spec(5, split="heldout").motion.name
    assert sample_spec(5, body="human").character.body == "human"
    assert sample_spec(5, body="anthropomorphic").character.body == "anthropomorphic"
    assert [len(sample_spec(5, num_shots=count).shots) for count in (1, 2)] == [1, 2]


def test_camera_motion_moves_image_and_truth_together() -> None:
    spec = _find(lambda s: len(s.shots) == 1 and s.shots[0].zoom == 0 == s.shots[0].sway and s.shots[0].pan == 0)
    shot = replace(spec.shots[0], centre_x=0.375)
    moved = replace(spec, shots=(replace(shot, centre_x=0.375 + 8 / SIZE[1]),))
    a, b = render_frame(replace(spec, shots=(shot,)), 0.7), render_frame(moved, 0.7)
    both = (a.keypoints[:, 2] > 0) & (b.keypoints[:, 2] > 0)
    assert both.sum() > 15
    np.testing.assert_allclose(b.keypoints[both, :2] - a.keypoints[both, :2], [[8.0, 0.0]] * both.sum(), atol=1e-3)
    assert np.array_equal(a.character_mask[:, :-8], b.character_mask[:, 8:])
    np.testing.assert_allclose(a.depth[:, :-8], b.depth[:, 8:], atol=1e-4)
    solid = cv2.erode(a.character_mask.astype(np.uint8), np.ones((3, 3)))[:, :-8] > 0
    assert np.abs(a.rgb[:, :-8][solid].astype(int) - b.rgb[:, 8:][solid]).mean() < 0.5


def test_eyes_are_drawn_at_their_keypoints() -> None:
    spec = _find(lambda s: s.character.body == "human" and s.character.look.hat == "none" and not s.objects)
    motion = replace(spec.motion, name="stand", yaw=0.0, head_yaw=0.0, phase=0.15, mirrored=False)
    frame = render_frame(replace(spec, motion=motion), 0.5)
    for side in ("left", "right"):
        x, y, visibility = frame.keypoints[INDEX[f"{side}_eye"]]
        assert visibility == 2
        pupil = frame.rgb[round(float(y)) - 1 : round(float(y)) + 2, round(float(x)) - 1 : round(float(x)) + 2]
        assert pupil.min() < 90
    left, right = frame.keypoints[INDEX["left_eye"]], frame.keypoints[INDEX["right_eye"]]
    assert left[0] > right[0]


def test_parts_a_character_lacks_are_absent() -> None:
    armless = _find(lambda s: s.character.proportions.upper_arm == 0.0)
    frame = render_frame(armless, 0.3)
    assert not frame.keypoints[LEFT_HAND, 2].any()
    assert not frame.keypoints[RIGHT_HAND, 2].any()
    assert not frame.keypoints[[INDEX["left_elbow"], INDEX["right_wrist"]], 2].any()
    assert "left_forearm" not in frame.limb_depths
    legless = _find(lambda s: s.character.proportions.thigh == 0.0)
    frame = render_frame(legless, 0.3)
    assert not frame.keypoints[FEET, 2].any()
    assert not frame.keypoints[[INDEX["left_knee"], INDEX["right_ankle"]], 2].any()


def test_the_face_is_occluded_when_the_character_faces_away() -> None:
    spec = _find(lambda s: s.character.body == "human")
    away = replace(spec, motion=replace(spec.motion, name="stand", yaw=np.pi, head_yaw=0.0), objects=())
    frame = render_frame(replace(away, shots=away.shots[:1]), 0.4)
    assert frame.keypoints[INDEX["nose"], 2] == 1
    assert frame.keypoints[INDEX["left_eye"], 2] == 1
    left, right = frame.keypoints[INDEX["left_shoulder"]], frame.keypoints[INDEX["right_shoulder"]]
    assert left[0] < right[0]


def test_depth_map_and_limb_depths_agree() -> None:
    differences = []
    for seed in range(40):
        _, frame = _drawn(seed)
        for name, (a, b) in LIMBS.items():
            ends = frame.keypoints[[a, b]]
            long = np.hypot(*(ends[0, :2] - ends[1, :2])) > 0.09 * SIZE[0]  # a hand covers a foreshortened arm
            if name.endswith(("forearm", "shin")) and long and (ends[:, 2] == 2).all():
                x, y = np.rint(ends[:, :2].mean(axis=0)).astype(int)
                differences.append(abs(float(frame.depth[y, x]) - frame.limb_depths[name]))
    assert len(differences) > 40
    assert np.mean(np.array(differences) < 0.015) > 0.88  # the rest has another limb in front


def test_limbs_pass_in_front_of_and_behind_one_another() -> None:
    spreads, hidden = [], 0
    for seed in range(60):
        _, frame = _drawn(seed)
        depths = list(frame.limb_depths.values()) or [0.0]
        spreads.append(max(depths) - min(depths))
        hidden += int((frame.keypoints[5:17, 2] == 1).any())
    assert np.mean(np.array(spreads) > 0.15) > 0.6
    assert 20 <= hidden <= 59


def test_an_object_in_front_hides_the_character() -> None:
    spec = _find(lambda s: any(not item.held and item.z > 0 for item in s.objects) and len(s.shots) == 1)
    item = next(item for item in spec.objects if not item.held and item.z > 0)
    frame = render_frame(replace(spec, objects=(replace(item, x=0.0, size=1.6 * item.size),)), 0.5)
    bare = render_frame(replace(spec, objects=()), 0.5)
    covered = frame.object_masks[item.object_id] & bare.character_mask
    assert covered.sum() > 30
    assert not frame.character_mask[covered].any()
    assert (frame.depth[covered] < bare.depth[covered]).mean() > 0.9


def test_held_objects_follow_the_hand() -> None:
    spec = _find(lambda s: any(item.kind in {"ball", "flower"} and item.held for item in s.objects))
    item = next(item for item in spec.objects if item.held)
    side = "left" if item.x > 0 else "right"
    for time in (0.2, 0.9, 1.6):
        frame = render_frame(spec, time)
        rows, columns = np.nonzero(frame.object_masks[item.object_id])
        wrist = frame.keypoints[INDEX[f"{side}_wrist"], :2]
        distance = np.hypot(columns - wrist[0], rows - wrist[1]).min()
        assert distance < 0.12 * SIZE[0]


def test_only_a_cut_changes_the_picture_abruptly() -> None:
    spec = sample_spec(21, size_px=SIZE, num_shots=2)
    start = spec.shot_starts_seconds[1]
    times = [start - 0.08, start - 0.04, start + 0.001, start + 0.041]
    frames = [render_frame(spec, time).rgb.astype(int) for time in times]
    steps = [float(np.abs(b - a).mean()) for a, b in pairwise(frames)]
    assert steps[1] > 4 * max(steps[0], steps[2])


def test_both_splits_show_every_kind_of_limb() -> None:
    for split in ("train", "heldout"):
        visible = np.zeros(133, dtype=bool)
        for seed in range(40):
            visible |= _drawn(seed, split)[1].keypoints[:, 2] == 2
        assert visible.all(), [KEYPOINT_NAMES[index] for index in np.flatnonzero(~visible)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size_px": (16, 192)}, "at least 32"),
        ({"split": "test"}, "expected 'train' or 'heldout'"),
        ({"body": "dog"}, "expected 'human'"),
        ({"num_shots": 3}, "expected 1, 2 or None"),
        ({"duration_seconds": 0.0}, "positive"),
    ],
)
def test_invalid_arguments_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sample_spec(0, **options)  # type: ignore[arg-type]
