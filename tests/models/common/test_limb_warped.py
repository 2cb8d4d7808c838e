from __future__ import annotations

import numpy as np
import pytest
import torch
from models.common.limb_warped import LimbWarped, with_detail
from models.pose.limb_warp import LimbWarp
from numpy.typing import NDArray

from models.animation.animator import AnimationInputs
from models.appearance.vae import PUPPETS_VAE, Vae, to_frames, to_images
from models.puppets import render
from models.puppets.pairs import sample_pair

CPU = torch.device("cpu")
Frame = NDArray[np.uint8]


@pytest.fixture(scope="module")
def inputs() -> AnimationInputs:
    pair = sample_pair(1, body="human", size_px=(64, 64), duration_seconds=1.0)
    frames = list(render(pair.target, 8.0, 7))
    keypoints = np.stack([frame.keypoints for frame in frames])
    return AnimationInputs(
        reference_HWC=frames[0].rgb,
        pose_THWC=np.stack([frame.rgb for frame in frames]),
        seed=0,
        reference_keypoints_K3=keypoints[0],
        pose_keypoints_TK3=keypoints,
    )


def warped(inputs: AnimationInputs, *, at_once: int) -> tuple[LimbWarped, Vae]:
    torch.manual_seed(0)
    vae = Vae(PUPPETS_VAE).eval()
    return LimbWarped("toy", inputs, vae, device=CPU, dtype=torch.float32, at_once=at_once), vae


@torch.no_grad()
def test_latents_are_those_of_the_moved_reference_however_many_are_made_at_once(inputs: AnimationInputs) -> None:
    reference, keypoints, poses = inputs.reference_HWC, inputs.reference_keypoints_K3, inputs.pose_keypoints_TK3
    assert keypoints is not None
    assert poses is not None
    for at_once in (1, 3, 7):
        made, vae = warped(inputs, at_once=at_once)
        expected = vae.encode(to_images(LimbWarp(reference, keypoints)(poses)))
        torch.testing.assert_close(made.latents_TCHW, expected, atol=1e-5, rtol=1e-4)


def test_what_is_the_moved_reference_is_decoded_to_it_without_loss(inputs: AnimationInputs) -> None:
    made, vae = warped(inputs, at_once=3)
    keypoints, poses = inputs.reference_keypoints_K3, inputs.pose_keypoints_TK3
    assert keypoints is not None
    assert poses is not None
    decoded = np.concatenate(list(made.decode(made.latents_TCHW)))
    np.testing.assert_array_equal(decoded, LimbWarp(inputs.reference_HWC, keypoints)(poses))
    # A VAE with random weights makes something else of it.
    assert abs(to_frames(vae.decode(made.latents_TCHW).detach()).astype(int) - decoded).mean() > 10


def test_detail_is_added_where_a_frame_is_like_the_pictures_lossy_version() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    lossy = np.full_like(picture, 128)
    decoded = lossy.copy()
    decoded[:, 20:] = 250
    frame = with_detail(decoded, picture, lossy)
    np.testing.assert_array_equal(frame[:, :15], picture[:, :15])
    np.testing.assert_array_equal(frame[:, 25:], decoded[:, 25:])


def test_without_key_points_it_says_what_it_needs(inputs: AnimationInputs) -> None:
    nothing = AnimationInputs(reference_HWC=inputs.reference_HWC, pose_THWC=inputs.pose_THWC, seed=0)
    with pytest.raises(ValueError, match="toy moves the reference limb by limb: it needs reference_keypoints_K3"):
        warped(nothing, at_once=2)
