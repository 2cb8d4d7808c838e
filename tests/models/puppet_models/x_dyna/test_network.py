from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_systems import CPU, SIDE_PX, new_animator, new_encoders, new_network, request, tiny_model
from torch import Tensor

from models.animation.animator import RequestEncoder
from models.puppet_models.x_dyna.implementation import CONTROLLED_NOISE, FREE_NOISE, PuppetXDynaImplementation
from models.puppet_models.x_dyna.network import PuppetClipConditions, PuppetXDyna
from models.puppet_models.x_dyna.system import PUPPETS
from models.sampling.schedule import NoiseSchedule
from models.sampling.solver import AdamsBashforth, Solver
from models.x_dyna.denoiser import ClipDenoiser

pytestmark = pytest.mark.usefixtures("one_thread")

MODEL = tiny_model("x-dyna-puppets")
NUM_FRAMES, SIDE = 4, SIDE_PX // 8
FRAMES = list(range(NUM_FRAMES))
CHANNELS = MODEL.variant.config.unet.in_channels
T = 700


@pytest.fixture(scope="module")
def network() -> PuppetXDyna:
    network = new_network(MODEL)
    assert isinstance(network, PuppetXDyna)
    return network


@pytest.fixture(scope="module")
def clip(network: PuppetXDyna) -> PuppetClipConditions:
    with torch.no_grad():
        batch = request(NUM_FRAMES).clip(NUM_FRAMES)
        encoder = RequestEncoder(batch, new_encoders(), device=CPU, dtype=torch.float32, batch=4)
        return PuppetXDynaImplementation().conditions(batch, encoder, network)


@torch.no_grad()
def predict(network: PuppetXDyna, clip: PuppetClipConditions, *windows: list[int]) -> Tensor:
    """Prediction for windows of the same noise, each in a row of its own."""
    noise = torch.randn((1, CHANNELS, NUM_FRAMES, SIDE, SIDE), generator=torch.Generator().manual_seed(2))
    rows = torch.cat([noise[:, :, window] for window in windows])
    predicted: Tensor = ClipDenoiser(network, clip)(rows, T, windows, [True] * len(windows))
    return predicted


def test_the_draft_has_a_picture_per_frame_and_none_for_the_reference(clip: PuppetClipConditions) -> None:
    assert clip.draft_BCFHW.shape == (1, CHANNELS, NUM_FRAMES, SIDE, SIDE)
    pictures = np.concatenate(list(clip.draft.pictures(0)))
    assert pictures.shape == (NUM_FRAMES, SIDE_PX, SIDE_PX, 3)
    assert not np.array_equal(pictures[0], pictures[-1])


@pytest.mark.parametrize(
    "name", ["draft_BCFHW", "face_BFHWC", "poses_BFHWC", "reference_latents_BCHW", "image_tokens_BLD"]
)
def test_the_prediction_reads_every_condition(network: PuppetXDyna, clip: PuppetClipConditions, name: str) -> None:
    value = getattr(clip, name)
    # The mean of a control picture is lost by its normalisation.
    changed = np.roll(value, 8, axis=2) if isinstance(value, np.ndarray) else value + 1
    before, after = (predict(network, each, FRAMES) for each in (clip, replace(clip, **{name: changed})))
    assert not torch.equal(before, after)


def test_a_face_that_does_not_control_is_not_read(network: PuppetXDyna, clip: PuppetClipConditions) -> None:
    assert clip.face_BFHWC is not None
    body = replace(clip, controls_B2=np.array([[True, False]]))
    other = replace(body, face_BFHWC=np.roll(clip.face_BFHWC, 8, axis=2))
    assert torch.equal(predict(network, body, FRAMES), predict(network, other, FRAMES))
    assert not torch.equal(predict(network, body, FRAMES), predict(network, clip, FRAMES))


def test_a_run_begins_with_less_noise_at_the_skeleton_and_at_the_patches(clip: PuppetClipConditions) -> None:
    pose, face = (np.zeros((1, 1, 64, 64, channels), np.uint8) for channels in (3, 6))
    pose[0, 0, 40, 40] = 255  # latent (5, 5), and those around it
    face[0, 0, 0, 20, 2] = 255  # latent (0, 2)
    face[0, 0, :, :, 3:] = 255  # the box shows scenery too

    def levels(*, body: bool, by_face: bool) -> Tensor:
        controls = np.array([[body, by_face]])
        drawn = replace(clip, poses_BFHWC=pose, face_BFHWC=face, controls_B2=controls)
        return PuppetXDynaImplementation().noise_level(drawn)

    expected_body, expected_face = torch.full((2, 1, 8, 8), FREE_NOISE)
    expected_body[:, 4:7, 4:7] = CONTROLLED_NOISE
    expected_face[:, 0, 2] = CONTROLLED_NOISE
    assert torch.equal(levels(body=True, by_face=False), expected_body)
    assert torch.equal(levels(body=False, by_face=True), expected_face)
    assert torch.equal(levels(body=True, by_face=True), expected_body.minimum(expected_face))


def test_a_run_has_the_noise_level_and_the_solver_of_its_system(monkeypatch: pytest.MonkeyPatch) -> None:
    animator = new_animator(MODEL)
    steps: list[tuple[int, int]] = []

    def solver(schedule: NoiseSchedule) -> Solver:
        step = AdamsBashforth(schedule)

        def recorded(prediction: Tensor, t: int, t_next: int, x: Tensor) -> Tensor:
            steps.append((t, t_next))
            return step(prediction, t, t_next, x)

        return recorded

    def frames(seed: int) -> NDArray[np.uint8]:
        return animator.animate(request(NUM_FRAMES, seed=seed, num_steps=2)).frames_THWC

    usual = frames(1)
    monkeypatch.setattr(animator.implementation, "solver", solver)
    assert np.array_equal(frames(1), usual)
    assert steps == [(999, 499), (499, -1)]
    begun: list[Tensor] = []
    monkeypatch.setattr(
        animator.implementation, "first_latents", lambda noise, *_, **__: begun.append(noise) or torch.zeros_like(noise)
    )
    for level in (1.0, 0.25):
        monkeypatch.setattr(
            animator.implementation, "noise_level", lambda _, level=level: torch.full((NUM_FRAMES, SIDE, SIDE), level)
        )
        frames(1)
    assert torch.equal(begun[1], 0.25 * begun[0])


def test_each_window_of_a_call_has_the_draft_of_its_own_frames(
    network: PuppetXDyna, clip: PuppetClipConditions
) -> None:
    first, second = FRAMES[:2], FRAMES[2:]
    together = predict(network, clip, first, second)
    torch.testing.assert_close(together[:1], predict(network, clip, first), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(together[1:], predict(network, clip, second), atol=1e-4, rtol=1e-4)
    draft = clip.draft_BCFHW.clone()
    draft[:, :, second] += 1
    changed = predict(network, replace(clip, draft_BCFHW=draft), first, second)
    torch.testing.assert_close(changed[:1], together[:1], atol=1e-4, rtol=1e-4)
    assert (changed[1:] - together[1:]).abs().max() > 1e-3


def test_a_trusted_draft_is_the_prediction(network: PuppetXDyna, clip: PuppetClipConditions) -> None:
    trusting = deepcopy(network)
    torch.nn.init.zeros_(trusting.denoiser.draft_weight.weight)
    torch.nn.init.constant_(trusting.denoiser.draft_weight.bias, 30.0)
    draft = clip.draft_BCFHW
    expected = trusting.denoiser.schedule.target(draft, torch.zeros_like(draft), torch.tensor([T]))
    torch.testing.assert_close(predict(trusting, clip, FRAMES), expected, atol=1e-4, rtol=1e-4)


def test_the_length_of_a_window_changes_no_norm() -> None:
    """So that a short clip needs no remark in `fallbacks`."""
    assert PUPPETS.unet.residual_norm == "per_frame"
    assert not PuppetXDynaImplementation.depends_on_window


def test_the_size_that_ships_stays_below_21_megabytes_in_half_precision() -> None:
    with torch.device("meta"):
        network = PuppetXDyna(PUPPETS)
    assert 2 * sum(parameter.numel() for parameter in network.parameters()) < 21e6
