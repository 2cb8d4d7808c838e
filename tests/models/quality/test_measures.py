import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.quality import measures

HEIGHT, WIDTH = 96, 128


def clip(centres, *, radius=(10, 24), colour=(200, 60, 40), seed=0):
    """Frames, keypoints and masks of a patterned ellipse that moves along `centres` over a grey background."""
    pattern = np.random.default_rng(seed).integers(-30, 30, (HEIGHT, WIDTH, 1))
    frames = np.full((len(centres), HEIGHT, WIDTH, 3), 128, np.uint8)
    masks = np.zeros((len(centres), HEIGHT, WIDTH), np.bool_)
    keypoints = np.zeros((len(centres), 133, 3), np.float32)
    angles = np.linspace(0, 2 * np.pi, 17, endpoint=False)
    for t, (x, y) in enumerate(centres):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        cv2.ellipse(mask, (x, y), radius, 0, 0, 360, 1, -1)
        masks[t] = mask > 0
        frames[t][masks[t]] = np.clip(np.array(colour) + pattern, 0, 255)[masks[t]]
        keypoints[t, :17, 0] = x + 0.8 * radius[0] * np.cos(angles)
        keypoints[t, :17, 1] = y + 0.8 * radius[1] * np.sin(angles)
        keypoints[t, :17, 2] = 0.9
    return frames, keypoints, masks


STILL = [(60, 40)] * 5
SLOW = [(40 + 3 * t, 40) for t in range(10)]


def test_pose_confidence_is_the_mean_of_the_body():
    _, keypoints, _ = clip(STILL)
    keypoints[:, 17:, 2] = 0
    keypoints[0, :17, 2] = 0
    assert measures.pose_confidence(keypoints) == pytest.approx(0.9 * 4 / 5)


def test_person_share_needs_pose_and_mask():
    _, keypoints, masks = clip(STILL)
    assert measures.person_share(keypoints, masks) == 1
    masks[0] = False
    keypoints[1, 3:, 2] = 0
    assert measures.person_share(keypoints, masks) == pytest.approx(3 / 5)


def test_character_with_a_head_only_is_a_person():
    _, keypoints, masks = clip(STILL)
    keypoints[:, 5:, 2] = 0
    assert measures.person_share(keypoints, masks) == 1


def test_keypoints_inside_mask():
    _, keypoints, masks = clip(STILL)
    assert measures.keypoints_inside_mask(keypoints, masks) == 1
    keypoints[:, 0, :2] = (5, 90)
    assert measures.keypoints_inside_mask(keypoints, masks) == pytest.approx(16 / 17)
    keypoints[:, 0, 2] = 0.1
    assert measures.keypoints_inside_mask(keypoints, masks) == 1


def test_keypoints_on_the_outline_are_inside_and_beyond_the_margin_are_not():
    masks = np.zeros((1, HEIGHT, WIDTH), np.bool_)
    masks[0, :, :50] = True
    keypoints = np.zeros((1, 133, 3), np.float32)
    keypoints[0, :2] = [(10, 5, 1), (10, 85, 1)]  # size 80: the margin is 1.6, so 2 pixels
    keypoints[0, 2] = (51, 40, 1)
    assert measures.keypoints_inside_mask(keypoints, masks) == 1
    keypoints[0, 2] = (52, 40, 1)
    assert measures.keypoints_inside_mask(keypoints, masks) == pytest.approx(2 / 3)


def test_keypoints_off_the_picture_are_not_counted():
    _, keypoints, masks = clip(STILL)
    keypoints[:, 0, :2] = (-50, 400)
    assert measures.keypoints_inside_mask(keypoints, masks) == 1


def test_mask_area_jump():
    _, _, masks = clip(STILL)
    assert measures.mask_area_jump(masks) == 0
    masks[2, :, :60] = False
    assert 0.4 < measures.mask_area_jump(masks) < 0.6
    masks[2] = False
    assert measures.mask_area_jump(masks) == 1


def test_motion_magnitude_is_in_sizes_per_second():
    _, keypoints, _ = clip(SLOW)
    size = 2 * 0.8 * 24 * np.sin(2 * np.pi * 4 / 17)  # the lowest and highest of 17 points on the ellipse
    speed = measures.motion_magnitude(keypoints, np.arange(10) / 12)
    assert speed == pytest.approx(3 * 12 / size, rel=0.02)
    assert measures.motion_magnitude(keypoints, np.arange(10) / 24) == pytest.approx(2 * speed)


def test_motion_magnitude_ignores_scale_and_unsure_keypoints():
    _, keypoints, _ = clip(SLOW)
    seconds = np.arange(10) / 12
    speed = measures.motion_magnitude(keypoints, seconds)
    assert measures.motion_magnitude(keypoints * np.float32([3, 3, 1]), seconds) == pytest.approx(speed, rel=1e-3)
    keypoints[5, 3] = (0, 0, 0)
    assert measures.motion_magnitude(keypoints, seconds) == pytest.approx(speed, rel=0.02)


def test_repeated_times_do_not_divide_by_zero():
    _, keypoints, _ = clip(SLOW)
    assert measures.motion_magnitude(keypoints, np.zeros(10)) == 0
    with pytest.raises(ValueError, match="got 3 times for 10 frames"):
        measures.motion_magnitude(keypoints, np.zeros(3))


def textured(scale):
    noise = np.random.default_rng(1).integers(0, 255, (48, 32), dtype=np.uint8)
    grey = cv2.resize(noise, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    frames = np.repeat(grey[None, :, :, None], 3, axis=3)
    return frames, np.ones(frames.shape[:3], np.bool_)


def test_sharpness_falls_with_blur_and_not_with_size():
    frames, masks = textured(8)
    sharp = measures.sharpness(frames, masks)
    assert measures.sharpness(*textured(16)) == pytest.approx(sharp, rel=0.1)
    blurred = [measures.sharpness(cv2.GaussianBlur(frames[0], (0, 0), s)[None], masks) for s in (2, 4, 8, 16)]
    assert all(more < less / 1.3 for less, more in zip([sharp, *blurred], blurred, strict=False))


def test_sharpness_measures_the_character_only():
    frames, _, masks = clip(STILL)
    before = measures.sharpness(frames, masks)
    frames[:, :, 100:] = np.random.default_rng(0).integers(0, 255, (HEIGHT, 28, 3))
    assert measures.sharpness(frames, masks) == before


def test_one_character_that_moves_is_not_a_switch():
    frames, _, masks = clip(SLOW)
    assert measures.identity_switches(frames, masks) == 0
    frames, _, masks = clip([(22 * t + 12, 40) for t in range(5)])  # more than its width in every frame
    assert measures.identity_switches(frames, masks) == 0


def test_a_jump_in_position_is_a_switch():
    frames, _, masks = clip([(20, 40)] * 4 + [(110, 50)] * 4)
    assert measures.identity_switches(frames, masks) == 1


def test_a_jump_in_appearance_is_a_switch():
    red, _, masks = clip(STILL)
    blue, _, _ = clip(STILL, colour=(40, 60, 220))
    frames = np.concatenate([red, blue, red])
    assert measures.identity_switches(frames, np.concatenate([masks] * 3)) == 2


def test_a_switch_across_empty_frames_counts_once():
    frames, _, masks = clip([(20, 40)] * 4 + [(110, 50)] * 4)
    masks[3:5] = False
    assert measures.identity_switches(frames, masks) == 1


def test_change_of_light_is_not_a_switch():
    frames, _, masks = clip(STILL)
    frames[2:] = np.clip(frames[2:] * 1.15, 0, 255).astype(np.uint8)
    assert measures.identity_switches(frames, masks) == 0


@given(st.lists(st.booleans(), min_size=2, max_size=30), st.integers(1, 8))
def test_longest_absence_is_the_longest_run_of_frames_without_a_person(shown, fps):
    _, keypoints, masks = clip([(60, 40)] * len(shown))
    masks[~np.array(shown)] = False
    runs = "".join("x" if one else "." for one in shown).split("x")
    seconds = np.arange(len(shown)) / fps
    absence_seconds = measures.longest_absence_seconds(keypoints, masks, seconds)
    assert absence_seconds == pytest.approx(max(map(len, runs)) / fps)


def test_shot_cuts_are_counted():
    rng = np.random.default_rng(0)
    shots = [np.kron(rng.integers(0, 255, (6, 8, 3)), np.ones((16, 16, 1))).astype(np.uint8) for _ in range(3)]
    assert measures.shot_cuts(np.stack([shots[0]] * 8)) == 0
    assert measures.shot_cuts(np.stack([shots[0]] * 8 + [shots[1]] * 8 + [shots[2]] * 8)) == 2


def test_frames_with_equal_times_have_no_speed():
    _, keypoints, _ = clip([(60, 40), (90, 40)])
    assert measures.motion_magnitude(keypoints, np.array([0.0, 1.0])) > 0
    for apart in (0.0, 1e-310):
        assert measures.motion_magnitude(keypoints, np.array([0.0, apart])) == 0


@given(st.data(), st.integers(1, 4))
def test_every_measure_is_finite_and_in_range(data, num_frames):
    shape = (num_frames, 7, 9)
    masks = data.draw(hnp.arrays(np.bool_, shape))
    frames = data.draw(hnp.arrays(np.uint8, (*shape, 3)))
    keypoints = data.draw(hnp.arrays(np.float32, (num_frames, 133, 3), elements=st.floats(-20, 20, width=32)))
    keypoints[..., 2] = np.abs(keypoints[..., 2]) / 20
    seconds = np.cumsum(data.draw(hnp.arrays(np.float64, num_frames, elements=st.floats(0, 1))))
    for share in (
        measures.pose_confidence(keypoints),
        measures.person_share(keypoints, masks),
        measures.keypoints_inside_mask(keypoints, masks),
        measures.mask_area_jump(masks),
    ):
        assert 0 <= share <= 1
    assert 0 <= measures.identity_switches(frames, masks) < num_frames
    assert 0 <= measures.motion_magnitude(keypoints, seconds) < np.inf
    assert 0 <= measures.sharpness(frames, masks) < np.inf
    assert 0 <= measures.shot_cuts(frames) < num_frames
    absence = measures.longest_absence_seconds(keypoints, masks, seconds)
    longest = seconds[-1] - seconds[0] + (seconds[-1] - seconds[-2] if num_frames > 1 else 0)
    assert 0 <= absence <= longest + 1e-9


def test_clip_without_a_person():
    frames, keypoints, masks = clip(STILL)
    keypoints[:], masks[:] = 0, False
    assert measures.person_share(keypoints, masks) == 0
    assert measures.keypoints_inside_mask(keypoints, masks) == 0
    assert measures.mask_area_jump(masks) == 0
    assert measures.motion_magnitude(keypoints, np.arange(5.0)) == 0
    assert measures.sharpness(frames, masks) == 0
    assert measures.identity_switches(frames, masks) == 0
    assert measures.longest_absence_seconds(keypoints, masks, np.arange(5.0)) == 5
