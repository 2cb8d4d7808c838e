from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.animation.animator import RequestEncoder
from models.animation.clip import ClipBatch
from models.animation.signals import POSE_KEYPOINTS, REFERENCE_KEYPOINTS
from models.appearance.encoders import FrozenEncoders
from models.appearance.image_encoder import new_puppets_image_encoder
from models.appearance.vae import PUPPETS_VAE, Vae, to_frames, to_images
from models.pose.pose_augment import rescaled
from models.puppet_models.draft import Draft, with_detail
from models.puppet_models.limb_warp import LimbWarp
from models.puppets import render
from models.puppets.pairs import sample_pair

NUM_FRAMES = 7


@pytest.fixture(scope="module")
def clip() -> ClipBatch:
    """Two clips of a dancing puppet, the second backwards."""
    pair = sample_pair(1, body="human", size_px=(64, 64), duration_seconds=1.0)
    frames = list(render(pair.target, 8.0, NUM_FRAMES))
    keypoints = np.stack([frame.keypoints for frame in frames])
    pictures = np.stack([frame.rgb for frame in frames])
    return ClipBatch(
        references_BHWC=pictures[[0, -1]],
        poses_BFHWC=np.stack([pictures, pictures[::-1]]),
        signals={
            REFERENCE_KEYPOINTS: keypoints[[0, -1]],
            POSE_KEYPOINTS: np.stack([keypoints, keypoints[::-1]]),
        },
    )


@pytest.fixture(scope="module")
def vae() -> Vae:
    torch.manual_seed(0)
    return Vae(PUPPETS_VAE).eval()


def warped(clip: ClipBatch, row: int) -> np.ndarray:
    warp = LimbWarp(clip.pictures_BHWC[row], clip.signals[REFERENCE_KEYPOINTS][row])
    return warp(clip.signals[POSE_KEYPOINTS][row])


def draft_latents(clip: ClipBatch, vae: Vae, draft: Draft) -> torch.Tensor:
    encoders = FrozenEncoders(vae=vae, image_encoder=new_puppets_image_encoder())
    encoder = RequestEncoder(clip, encoders, device=torch.device("cpu"), dtype=torch.float32, batch=4)
    return draft.latents(encoder)


@torch.no_grad()
def test_latents_are_those_of_the_moved_references_whatever_the_batch(clip: ClipBatch, vae: Vae) -> None:
    expected = torch.stack([vae.encode(to_images(warped(clip, row))) for row in (0, 1)]).transpose(1, 2)
    for batch in (1, 3, NUM_FRAMES):
        latents = draft_latents(clip, vae, Draft(clip, keep_lengths=False, batch=batch))
        torch.testing.assert_close(latents, expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_latents_of_the_draft_are_decoded_to_the_draft_without_loss(clip: ClipBatch, vae: Vae) -> None:
    draft = Draft(clip, keep_lengths=False, batch=3)
    latents_TCHW = draft_latents(clip, vae, draft)[0].transpose(0, 1)
    expected = warped(clip, 0)
    np.testing.assert_array_equal(np.concatenate(list(draft.decode(vae, latents_TCHW, latents_TCHW))), expected)
    # A VAE with random weights alone loses nearly everything.
    assert abs(to_frames(vae.decode(latents_TCHW)).astype(int) - expected).mean() > 10
    # Sampling may pad a clip: only the frames of the animation are decoded.
    frames = np.concatenate(list(draft.decode(vae, latents_TCHW[:4], latents_TCHW)))
    np.testing.assert_array_equal(frames, expected[:4])


def test_lengths_are_those_of_the_reference_where_they_are_kept(clip: ClipBatch) -> None:
    poses = clip.signals[POSE_KEYPOINTS]
    factors = {"shins": 1.5, "upper_arms": 0.6, "torso": 0.8}
    other_lengths = np.stack([rescaled(row, factors) for row in poses]).astype(np.float32)
    other = replace(clip, signals={**clip.signals, POSE_KEYPOINTS: other_lengths})

    def pictures(clip: ClipBatch, *, keep_lengths: bool) -> np.ndarray:
        return np.concatenate(list(Draft(clip, keep_lengths=keep_lengths, batch=4).pictures(0))).astype(int)

    kept, as_posed = (pictures(other, keep_lengths=keep) for keep in (True, False))
    assert abs(kept - pictures(clip, keep_lengths=True)).mean() < 0.5
    assert abs(kept - as_posed).mean() > 2


def test_detail_is_added_where_a_frame_agrees_with_the_lossy_picture() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    lossy = np.full_like(picture, 128)
    decoded = lossy.copy()
    decoded[:, 20:] = 250
    frame = with_detail(decoded, picture, lossy)
    np.testing.assert_array_equal(frame[:, :15], picture[:, :15])
    np.testing.assert_array_equal(frame[:, 25:], decoded[:, 25:])


@pytest.mark.parametrize("signal", [REFERENCE_KEYPOINTS, POSE_KEYPOINTS])
def test_a_missing_signal_is_named(clip: ClipBatch, signal: str) -> None:
    signals = {name: array for name, array in clip.signals.items() if name != signal}
    with pytest.raises(ValueError, match=f"the network reads the signal {signal}, got"):
        Draft(replace(clip, signals=signals), keep_lengths=False, batch=2)
