from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from models.animate_anyone.animator import AnimateAnyoneAnimator
from numpy.typing import NDArray
from tiny_animate_anyone import TINY

from models.animate_anyone import animator as module
from models.animate_anyone.network import AnimateAnyone
from models.animation.animator import AnimationInputs
from models.appearance.image_encoder import new_puppets_image_encoder
from models.appearance.vae import PUPPETS_VAE, Vae
from models.common.memory import MemoryPlan

pytestmark = pytest.mark.usefixtures("one_thread")

HEIGHT_PX, WIDTH_PX = 64, 48


def inputs(num_frames: int = 11, **changes: object) -> AnimationInputs:
    rng = np.random.default_rng(3)
    skeletons = np.concatenate(
        [rng.uniform(0, WIDTH_PX, (num_frames + 1, 133, 2)), np.ones((num_frames + 1, 133, 1))], 2
    )
    given = AnimationInputs(
        reference_HWC=rng.integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8),
        pose_THWC=rng.integers(0, 256, (num_frames, HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8),
        reference_pose_HWC=rng.integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8),
        reference_keypoints_K3=skeletons[-1],
        pose_keypoints_TK3=skeletons[:-1],
        seed=5,
        guidance_scale=2.0,
    )
    return replace(given, **changes)  # type: ignore[arg-type]


def flipped(keypoints: NDArray[np.float32] | None) -> NDArray[np.float32]:
    assert keypoints is not None
    return keypoints[..., [1, 0, 2]]


def new_animator(**options: object) -> AnimateAnyoneAnimator:
    torch.manual_seed(0)
    network = AnimateAnyone(TINY)
    for parameter in network.parameters():  # layers that begin at zero would hide what goes through them
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return AnimateAnyoneAnimator(
        "tiny", network=network, vae=Vae(PUPPETS_VAE), image_encoder=new_puppets_image_encoder(), **options
    )


def test_the_same_request_gives_the_same_bits_and_another_seed_or_reference_or_pose_does_not() -> None:
    first, second = new_animator(), new_animator()
    steps: list[tuple[int, int]] = []
    made = first.animate(inputs(), on_step=lambda done, of: steps.append((done, of)))
    assert made.frames_THWC.shape == (11, HEIGHT_PX, WIDTH_PX, 3)
    assert made.fallbacks == ()
    assert steps == [(1, 2), (2, 2)]
    second.animate(inputs(5, seed=9))  # what came before does not matter
    np.testing.assert_array_equal(second.animate(inputs()).frames_THWC, made.frames_THWC)
    for changed in (
        inputs(seed=6),
        inputs(reference_HWC=255 - inputs().reference_HWC),
        inputs(pose_THWC=255 - inputs().pose_THWC),
        inputs(reference_pose_HWC=255 - inputs().reference_HWC),
        inputs(reference_keypoints_K3=flipped(inputs().reference_keypoints_K3)),
        inputs(pose_keypoints_TK3=flipped(inputs().pose_keypoints_TK3)),
        inputs(guidance_scale=4.0),
        inputs(num_steps=3),
    ):
        assert not np.array_equal(first.animate(changed).frames_THWC, made.frames_THWC)


def test_one_frame_is_a_clip_too() -> None:
    assert new_animator().animate(inputs(1)).frames_THWC.shape == (1, HEIGHT_PX, WIDTH_PX, 3)


def test_windows_at_once_and_features_kept_or_not_change_no_more_than_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = new_animator(window_batch=2).animate(inputs(20)).frames_THWC.astype(int)
    for rows in (1, 3, 8):
        assert abs(new_animator(window_batch=rows).animate(inputs(20)).frames_THWC - expected).max() <= 1
    monkeypatch.setattr(module, "POSE_FEATURE_BYTES", 0)
    assert abs(new_animator(window_batch=2).animate(inputs(20)).frames_THWC - expected).max() <= 1


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (2, ("window_batch=2",)),
        (1, ("window_batch=1",)),
        (0, ("window_batch=1", "vae_tiled", "offloaded")),
    ],
)
def test_without_memory_less_is_done_at_once_and_said(
    monkeypatch: pytest.MonkeyPatch, limit: int, said: tuple[str, ...]
) -> None:
    animator = new_animator(window_batch=8)
    expected = animator.animate(inputs()).frames_THWC.astype(int)
    run = AnimateAnyoneAnimator._animate

    def out_of_memory(self: AnimateAnyoneAnimator, given: AnimationInputs, plan: MemoryPlan, on_step: object) -> object:
        if plan.window_batch > max(limit, 1) or (limit == 0 and not plan.offload):
            raise torch.OutOfMemoryError("too much")
        return run(self, given, plan, on_step)  # type: ignore[arg-type]

    monkeypatch.setattr(AnimateAnyoneAnimator, "_animate", out_of_memory)
    made = animator.animate(inputs())
    assert made.fallbacks == said
    assert abs(made.frames_THWC - expected).max() <= 1


def test_too_little_memory_for_anything_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise torch.OutOfMemoryError("nothing fits")

    monkeypatch.setattr(AnimateAnyoneAnimator, "_animate", never)
    with pytest.raises(torch.OutOfMemoryError, match="nothing fits"):
        new_animator().animate(inputs())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reference_HWC": np.zeros((60, 48, 3), np.uint8)}, "multiples of 8, got 48 x 60"),
        ({"pose_THWC": np.zeros((3, 64, 40, 3), np.uint8)}, r"must be \(T, 64, 48, 3\)"),
        ({"pose_THWC": np.zeros((0, 64, 48, 3), np.uint8)}, "T >= 1"),
        ({"reference_pose_HWC": None}, "tiny looks at the reference's skeleton"),
        ({"reference_keypoints_K3": None}, "tiny moves the reference limb by limb: it needs reference_keypoints_K3"),
        ({"pose_keypoints_TK3": np.zeros((3, 133, 3), np.float32)}, "pose_keypoints_TK3 of 11 frames"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        new_animator().animate(inputs(**changes))
