from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from models.animate_x.animator import AnimateXAnimator
from models.animate_x.clip import first_latents
from tiny_animate_x import TINY, new_network

from models.animate_x.config import AnimateXConfig, NoisePrior
from models.animate_x.indicators import indicator_keypoints
from models.animation.animator import AnimationInputs
from models.appearance.image_encoder import new_puppets_image_encoder
from models.appearance.vae import PUPPETS_VAE, Vae
from models.pose.skeleton import INDEX
from models.sampling.schedule import NoiseSchedule

pytestmark = pytest.mark.usefixtures("one_thread")

HEIGHT_PX, WIDTH_PX = 32, 24
UNIANIMATE_TINY = replace(
    TINY,
    unet=replace(TINY.unet, pose_attention=None),
    indicator=None,
    reference="first_frame",
    limb_warp=False,
    noise_prior=NoisePrior(),
)


def inputs(num_frames: int = 11, **changes: object) -> AnimationInputs:
    rng = np.random.default_rng(3)

    def pictures(*shape: int) -> np.ndarray:
        return rng.integers(0, 256, shape, dtype=np.uint8)

    given = AnimationInputs(
        reference_HWC=pictures(HEIGHT_PX, WIDTH_PX, 3),
        pose_THWC=pictures(num_frames, HEIGHT_PX, WIDTH_PX, 3),
        seed=5,
        guidance_scale=2.0,
        reference_pose_HWC=pictures(HEIGHT_PX, WIDTH_PX, 3),
        reference_keypoints_K3=rng.uniform(0, 20, (133, 3)).astype(np.float32),
        pose_keypoints_TK3=rng.uniform(0, 20, (num_frames, 133, 3)).astype(np.float32),
        driving_THWC=pictures(num_frames, 40, 30, 3),
        driving_keypoints_TK3=rng.uniform(0, 20, (num_frames, 133, 3)).astype(np.float32),
    )
    return replace(given, **changes)  # type: ignore[arg-type]


def new_animator(config: AnimateXConfig = TINY, **options: object) -> AnimateXAnimator:
    network = new_network(config)
    return AnimateXAnimator(
        "tiny",
        network=network,
        vae=Vae(PUPPETS_VAE),
        image_encoder=new_puppets_image_encoder(),
        text_tokens_1LD=torch.ones(1, 3, 64),
        **options,
    )


@pytest.mark.parametrize("config", [TINY, UNIANIMATE_TINY])
def test_the_same_request_gives_the_same_bits_and_what_is_read_changes_them(config: AnimateXConfig) -> None:
    animator = new_animator(config)
    steps: list[tuple[int, int]] = []
    made = animator.animate(inputs(), on_step=lambda done, of: steps.append((done, of)))
    assert made.frames_THWC.shape == (11, HEIGHT_PX, WIDTH_PX, 3)
    assert steps == [(1, 2), (2, 2)]
    again = new_animator(config)
    again.animate(inputs(5, seed=9))  # what came before does not matter
    np.testing.assert_array_equal(again.animate(inputs()).frames_THWC, made.frames_THWC)
    given = inputs()
    everywhere = {"seed": 6, "reference_HWC": 255 - given.reference_HWC, "pose_THWC": 255 - given.pose_THWC}
    motion = {"driving_THWC": 255 - given.driving_THWC, "driving_keypoints_TK3": given.driving_keypoints_TK3[::-1]}
    motion["reference_keypoints_K3"] = given.reference_keypoints_K3[::-1]
    motion["pose_keypoints_TK3"] = given.pose_keypoints_TK3[::-1]
    for name, value in {**everywhere, **motion, "reference_pose_HWC": 255 - given.reference_pose_HWC}.items():
        read = name in everywhere or (name in motion) == (config is TINY)
        other = animator.animate(replace(given, **{name: value})).frames_THWC
        assert np.array_equal(other, made.frames_THWC) != read, name


def test_rows_at_once_change_no_more_than_rounding_and_one_frame_is_a_clip_too() -> None:
    expected = new_animator(window_batch=2).animate(inputs(20)).frames_THWC.astype(int)
    for rows in (1, 5):
        assert abs(new_animator(window_batch=rows).animate(inputs(20)).frames_THWC - expected).max() <= 1
    assert new_animator().animate(inputs(1)).frames_THWC.shape == (1, HEIGHT_PX, WIDTH_PX, 3)


def test_without_memory_less_is_done_at_once_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    animator = new_animator(window_batch=4)
    run = AnimateXAnimator._animate

    def out_of_memory(self: AnimateXAnimator, given: AnimationInputs, plan: object, on_step: object) -> object:
        if plan.window_batch > 1:  # type: ignore[attr-defined]
            raise torch.OutOfMemoryError("too much")
        return run(self, given, plan, on_step)  # type: ignore[arg-type]

    monkeypatch.setattr(AnimateXAnimator, "_animate", out_of_memory)
    assert animator.animate(inputs(3)).fallbacks == ("window_batch=1",)


@pytest.mark.parametrize(
    ("config", "changes", "words"),
    [
        (TINY, {"driving_THWC": None}, "looks at the motion itself, and got no driving_THWC"),
        (TINY, {"driving_keypoints_TK3": np.zeros((3, 133, 3), np.float32)}, "11 skeleton drawings .* key points of 3"),
        (TINY, {"pose_keypoints_TK3": None}, "moves the reference limb by limb: it needs reference_keypoints_K3"),
        (UNIANIMATE_TINY, {"reference_pose_HWC": None}, "got no reference_pose_HWC"),
        (TINY, {"pose_THWC": np.zeros((0, HEIGHT_PX, WIDTH_PX, 3), np.uint8)}, "T >= 1"),
    ],
)
def test_what_the_network_looks_at_must_be_there(
    config: AnimateXConfig, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        new_animator(config).animate(inputs(**changes))


def test_a_reference_without_a_skeleton_is_taken_to_stand_as_the_first_driving_frame() -> None:
    given = inputs(2, reference_keypoints_K3=None)
    keypoints = new_animator()._keypoints(given)
    assert torch.equal(keypoints[0], keypoints[1])
    assert not torch.equal(keypoints[1], keypoints[2])


def test_key_points_are_all_x_then_all_y_as_shares_of_the_frame_and_minus_one_where_missing() -> None:
    keypoints = np.zeros((2, 133, 3), np.float32)
    keypoints[:, INDEX["nose"]] = (10, 40, 0.9)
    keypoints[1, INDEX["nose"], 2] = 0.1
    keypoints[0, INDEX["left_shoulder"]] = (30, 20, 0.9)
    keypoints[0, INDEX["right_shoulder"]] = (10, 20, 0.9)
    found = indicator_keypoints(keypoints, height_px=80, width_px=40)
    assert found.shape == (2, 36)
    assert found[0, 0] == 0.25
    assert found[0, 18] == 0.5
    np.testing.assert_allclose(found[0, [1, 19]], (0.5, 0.25))  # the neck is the middle of the shoulders
    assert (found[1] == -1).all()


def test_sampling_begins_at_the_reference_where_there_is_a_prior() -> None:
    noise, offset, reference = torch.randn(4, 3, 2, 2), torch.randn(4, 3, 1, 1), torch.randn(4, 2, 2)
    torch.testing.assert_close(first_latents(noise, offset, reference, TINY, num_windows=1), noise + 0.1 * offset)
    schedule = NoiseSchedule(UNIANIMATE_TINY.schedule)
    for num_windows, t in ((1, 949), (3, 939)):
        alpha = schedule.alpha_cumprod(t)
        expected = alpha**0.5 * reference[:, None] + (1 - alpha) ** 0.5 * noise + 0.1 * offset
        found = first_latents(noise, offset, reference, UNIANIMATE_TINY, num_windows=num_windows)
        torch.testing.assert_close(found, expected)
