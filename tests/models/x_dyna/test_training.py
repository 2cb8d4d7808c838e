from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from stand_in_networks import randomise
from tiny_systems import NUM_FRAMES, new_recipe, new_task, sample_batch, tiny_model
from tiny_x_dyna import TINY
from torch import Tensor

from models.animation.signals import CONTROLS, FACE_CONTROL
from models.animation.task import DiffusionTask
from models.training.batch import SampleBatch
from models.training.recipe import LossConfig, SamplingConfig
from models.x_dyna.implementation import XDynaImplementation
from models.x_dyna.network import XDyna

pytestmark = pytest.mark.usefixtures("one_thread")

MODEL = tiny_model("x-dyna")
PLAIN = LossConfig(condition_dropout=0.0, noise_offset=0.0, snr_gamma=None)
UNCONDITIONAL = replace(PLAIN, condition_dropout=0.999)


def stage(number: int, loss: LossConfig = PLAIN) -> DiffusionTask:
    """The smallest network, with weights so large that every input shows in the loss."""
    torch.manual_seed(0)
    network = XDyna(TINY).eval()
    randomise(network)
    return new_task(MODEL, new_recipe(MODEL, number, loss=loss), network=network)


@torch.no_grad()
def losses(task: DiffusionTask, **changes: Any) -> Tensor:
    return task.row_losses(task.network, changed(sample_batch(NUM_FRAMES), **changes))


def changed(batch: SampleBatch, **signals: np.ndarray) -> SampleBatch:
    return replace(batch, signals={**batch.signals, **signals})


@pytest.mark.parametrize(
    ("appearance", "number", "expected"),
    [
        ("adapter", 1, {"_ff", "motion", "pose_control"}),
        ("reference_net", 1, {"motion", "pose_control", "reference_net"}),
        ("ip_adapter", 1, {"motion", "pose_control"}),
        ("adapter", 2, {"face_control"}),
    ],
)
def test_each_stage_trains_its_parts(appearance: Any, number: int, expected: set[str]) -> None:
    network = XDyna(replace(TINY, appearance=appearance))
    kinds = {"_ff.": "_ff", "motion_modules.": "motion"}
    kinds |= {f"{name}.": name for name in ("pose_control", "face_control", "reference_net")}
    trained, frozen = set(), set()
    for name, _ in network.named_parameters():
        kind = next((kind for part, kind in kinds.items() if part in name), "stable_diffusion")
        (trained if XDynaImplementation().trains(network, name, number) else frozen).add(kind)
    assert trained == expected
    assert trained.isdisjoint(frozen)
    assert "stable_diffusion" in frozen


def test_the_face_is_off_in_stage_1_and_on_in_stage_2() -> None:
    other = 255 - sample_batch(NUM_FRAMES).signals[FACE_CONTROL]
    first, second = stage(1), stage(2)
    assert torch.equal(losses(first), losses(first, **{FACE_CONTROL: other}))
    assert (losses(second) - losses(second, **{FACE_CONTROL: other})).abs().min() > 1e-6


def test_each_row_has_its_own_controls() -> None:
    task = stage(2)
    both = losses(task)
    controls = np.array([[True, True], [True, False]])
    mixed = losses(task, **{CONTROLS: controls})
    torch.testing.assert_close(mixed[0], both[0])
    assert (mixed[1] - both[1]).abs() > 1e-6
    # A face that does not control cannot be told from another.
    other = 255 - sample_batch(NUM_FRAMES).signals[FACE_CONTROL]
    torch.testing.assert_close(losses(task, **{CONTROLS: controls, FACE_CONTROL: other})[1], mixed[1])


def test_rows_without_conditions_lose_the_image_tokens_and_keep_pose_and_face() -> None:
    task = stage(2, UNCONDITIONAL)
    plain = losses(task)
    encoder: Any = task._encoders.image_encoder
    tokens = encoder.tokens
    task._tokens._encode = lambda images: -tokens(images)
    assert torch.equal(losses(task), plain)
    other = 255 - sample_batch(NUM_FRAMES).signals[FACE_CONTROL]
    assert (losses(task, **{FACE_CONTROL: other}) - plain).abs().min() > 1e-6
    with torch.no_grad():
        batch = sample_batch(NUM_FRAMES)
        drawn = task.row_losses(task.network, replace(batch, poses_BFHWC=255 - batch.poses_BFHWC))
    assert (drawn - plain).abs().min() > 1e-6


@pytest.mark.parametrize(
    ("changes", "config", "words"),
    [
        (
            {"stage": 2},
            replace(TINY, face=False),
            "stage 2 trains the S-Face ControlNet, got a network with face: false",
        ),
        (
            {"sampling": SamplingConfig(height_px=64, width_px=64, num_frames=17)},
            TINY,
            "sampling.num_frames is 17, the temporal layers have positions for 16",
        ),
    ],
)
def test_recipes_that_do_not_fit_the_network_are_refused(changes: Any, config: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        XDynaImplementation().check_recipe(config, replace(new_recipe(MODEL), **changes))


def test_eyes_and_mouth_weigh_more_where_asked() -> None:
    batch = sample_batch(NUM_FRAMES)
    black = np.zeros_like(batch.signals[FACE_CONTROL])
    patches = black.copy()
    patches[:, :, 8:16, 8:16, :3] = 200  # one latent of each frame
    face_box = black.copy()
    face_box[..., 3:] = 200
    plain, weighted = stage(2), stage(2, replace(PLAIN, face_weight=5.0))
    torch.testing.assert_close(losses(weighted, **{FACE_CONTROL: face_box}), losses(plain, **{FACE_CONTROL: face_box}))
    shown = {FACE_CONTROL: patches}
    assert (losses(weighted, **shown) - losses(plain, **shown)).abs().min() > 1e-4
