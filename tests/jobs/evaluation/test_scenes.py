"""Held-out scenes with the smallest network: what is scored is what `zoetrope animate` makes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_systems import new_network, tiny_model

from jobs.evaluation.scene_baselines import placed_truth, standing
from jobs.evaluation.scene_scores import grown, leakage, scene_scores
from jobs.evaluation.scenes import SCENE_SETTINGS, ComparedAnimation, SceneHeldoutConfig, SceneSetting, animate_scenes
from models.animation.system import LoadOptions
from models.perception.embedded import EmbeddedFigure
from models.pose.extent import character_size_px
from models.puppets.truth import truth_as_detections

HELDOUT = SceneHeldoutConfig(num_pairs=1, first_seed=3, size_px=(128, 96), duration_seconds=0.375)


@pytest.fixture(scope="module")
def animations() -> dict[SceneSetting, ComparedAnimation]:
    model = tiny_model("animate-anyone-2-puppets")
    animator = model.animator(new_network(model), model.encoders.load_from(None), LoadOptions(dtype="float32"))
    made = {}
    for setting in SCENE_SETTINGS:
        (animation,) = animate_scenes(animator, model, replace(HELDOUT, setting=setting))
        assert animation is not None
        made[setting] = animation
    return made


@pytest.fixture(params=SCENE_SETTINGS)
def animation(request: pytest.FixtureRequest, animations: dict[SceneSetting, ComparedAnimation]) -> ComparedAnimation:
    return animations[request.param]


def driving(animation: ComparedAnimation) -> np.ndarray:
    return np.stack([frame.rgb for frame in animation.truth.driving])


def target(animation: ComparedAnimation) -> np.ndarray:
    return np.stack([frame.rgb for frame in animation.truth.target])


def test_everything_has_the_size_of_the_driving_video(animation: ComparedAnimation) -> None:
    for frames in (
        animation.environment_THWC,
        animation.draft_THWC,
        animation.animation_THWC,
        animation.with_exact_masks_THWC,
        animation.paste_THWC,
        animation.animate_anyone_THWC,
    ):
        assert frames.shape == driving(animation).shape == (3, 128, 96, 3)
        assert frames.dtype == np.uint8


def test_the_animation_is_pasted_into_the_driving_video(animation: ComparedAnimation) -> None:
    changed = (animation.animation_THWC != driving(animation)).any(axis=(0, 3))
    assert not changed[:4].any()
    assert changed.any()
    assert not (animation.animation_THWC == animation.with_exact_masks_THWC).all()


def test_the_environment_shows_no_pixel_of_the_driving_character(
    animations: dict[SceneSetting, ComparedAnimation],
) -> None:
    animation = animations["scene-exact"]
    masks = np.stack([frame.character_mask for frame in animation.truth.driving])
    assert not animation.environment_THWC[masks].any()
    shown = animation.environment_THWC.any(axis=3)
    assert np.array_equal(animation.environment_THWC[shown], driving(animation)[shown])


def test_what_is_compared_shows_the_character_in_the_scene(animation: ComparedAnimation) -> None:
    """Closer to the truth than the driving video itself, whose character is another one."""
    truth = target(animation).astype(float)
    error = np.abs(driving(animation) - truth).mean()
    for frames in (animation.paste_THWC, animation.animate_anyone_THWC):
        assert np.abs(frames - truth).mean() < error


def test_settings_differ_in_what_they_read(animations: dict[SceneSetting, ComparedAnimation]) -> None:
    exact, detected = animations["scene-exact"], animations["scene-detected"]
    assert np.array_equal(target(exact), target(detected))
    assert not np.array_equal(exact.skeleton_keypoints, detected.skeleton_keypoints)
    # The character stands where the driving one does.
    true = np.stack([frame.keypoints for frame in exact.truth.driving])
    for animation, tolerance_px in ((exact, 2.0), (detected, 12.0)):
        visible = (animation.skeleton_keypoints[..., 2] > 0.3) & (true[..., 2] > 0)
        lowest, true_lowest = (
            np.where(visible, points[..., 1], 0).max(axis=1) for points in (animation.skeleton_keypoints, true)
        )
        assert np.abs(lowest - true_lowest).max() < tolerance_px


def test_scores_of_the_truth(animations: dict[SceneSetting, ComparedAnimation]) -> None:
    figure = EmbeddedFigure()
    animation = animations["scene-exact"]
    scores = scene_scores([animation], figure)
    perfect = scene_scores([replace(animation, animation_THWC=target(animation)), None], figure)
    assert {perfect[f"{name}_psnr_db"] for name in ("clip", "object", "seen_object", "scenery")} == {100}
    assert perfect["object_psnr_paste_db"] == scores["object_psnr_paste_db"] < 100
    assert perfect["keypoints"] == perfect["keypoints_truth"] > scores["keypoints"]
    assert perfect["leakage"] < 0 < perfect["gain_over_paste_db"]
    assert perfect["leakage_exact_masks"] == scores["leakage_exact_masks"]
    assert (perfect["pairs"], perfect["refused_pairs"], perfect["short_side_px"]) == (1, 1, 96)
    unchanged = scene_scores([replace(animation, animation_THWC=driving(animation))], figure)
    assert unchanged["clip_psnr_db"] == unchanged["clip_psnr_driving_db"] == perfect["clip_psnr_driving_db"]
    assert unchanged["leakage"] > 0
    assert unchanged["gain_over_animate_anyone_db"] == pytest.approx(
        unchanged["clip_psnr_db"] - unchanged["clip_psnr_animate_anyone_db"]
    )
    assert unchanged["scenery_psnr_db"] > 25


def test_the_moved_truth_is_the_truth_where_the_skeleton_is(animations: dict[SceneSetting, ComparedAnimation]) -> None:
    animation = animations["scene-exact"]
    frames = animation.truth.target
    true = np.stack([truth_as_detections(frame.keypoints) for frame in frames])
    assert np.array_equal(placed_truth(frames, true), target(animation))
    aside = true + np.array([6, 0, 0], np.float32)
    moved = placed_truth(frames, aside)
    for t, frame in enumerate(frames):
        free = np.roll(frame.character_mask, 6, axis=1) & ~np.logical_or.reduce([*frame.object_masks.values()])
        free[:, :6] = False
        same = np.abs(moved[t].astype(int) - np.roll(frame.rgb, 6, axis=1)).max(axis=2) <= 2
        assert same[free].mean() > 0.85


def test_the_moved_truth_is_scored(animations: dict[SceneSetting, ComparedAnimation]) -> None:
    exact, detected = (scene_scores([animations[setting]], EmbeddedFigure()) for setting in SCENE_SETTINGS)
    assert exact["clip_psnr_paste_db"] < exact["clip_psnr_placed_truth_db"] < 100
    assert detected["clip_psnr_placed_truth_db"] < exact["clip_psnr_placed_truth_db"]


def test_refused_pairs_alone_have_no_scores() -> None:
    with pytest.raises(ValueError, match="all 2 pairs were refused"):
        scene_scores([None, None], EmbeddedFigure())


def test_leakage_is_zero_between_the_two_and_signed() -> None:
    drawn, other = np.zeros((1, 8, 8), bool), np.zeros((1, 8, 8), bool)
    drawn[:, :4], other[:, 4:] = True, True
    assert leakage(drawn, other, drawn) == -1
    assert leakage(drawn, drawn, other) == 1
    assert leakage(drawn | other, drawn, other) == 0


def test_grown_masks_reach_the_margin() -> None:
    mask = np.zeros((1, 41, 61), bool)
    mask[0, 20, 30] = True
    inside = grown(mask)[0]
    assert inside[20, 24:37].all()  # 0.15 of 41 px
    assert not inside[20, 23]
    assert not inside[27, 30]


def test_a_standing_reference_has_size_and_place_of_the_skeleton(
    animations: dict[SceneSetting, ComparedAnimation],
) -> None:
    animation = animations["scene-exact"]
    keypoints = animation.skeleton_keypoints[0]
    large = keypoints.copy()
    large[:, :2] = 1.4 * keypoints[:, :2] - 10
    moved = standing(
        {
            "reference_image": animation.reference_HWC,
            "reference_keypoints": large,
            "skeleton_keypoints": animation.skeleton_keypoints[:1],
        }
    )
    seen = keypoints[:, 2] > 0.3
    assert np.allclose(moved["reference_keypoints"][seen, :2], keypoints[seen, :2], atol=0.05)
    assert character_size_px(large[None]) > 1.3 * character_size_px(moved["reference_keypoints"][None])
    assert moved["reference_image"].shape == animation.reference_HWC.shape
