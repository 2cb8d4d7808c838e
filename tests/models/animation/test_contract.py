"""Properties that inference has with every animation system, at its smallest size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_systems import (
    CONFIGS,
    NUM_FRAMES,
    SIDE_PX,
    new_animator,
    request,
    tiny_model,
)
from torch import Tensor, nn

from models.animation.animator import Animation, AnimationInputs, Animator
from models.animation.signals import PER_CLIP_SIGNALS
from models.animation.system import Model
from models.common.memory import MemoryPlan

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(params=CONFIGS)
def model(request: pytest.FixtureRequest) -> Model:
    return tiny_model(request.param)


def same_frames(first: Animation, second: Animation) -> bool:
    return np.array_equal(first.frames_THWC, second.frames_THWC)


def test_the_same_request_gives_the_same_bits_and_each_input_that_is_read_changes_them(model: Model) -> None:
    animator = new_animator(model)
    inputs = request(guidance_scale=2.0)
    steps: list[tuple[int, int]] = []
    expected = animator.animate(inputs, on_step=lambda step, of: steps.append((step, of)))
    num_evaluations = len(animator.schedule.timesteps(animator.config.num_steps))
    assert steps == [(step + 1, num_evaluations) for step in range(num_evaluations)]
    assert (expected.frames_THWC.shape, expected.frames_THWC.dtype) == ((NUM_FRAMES, SIDE_PX, SIDE_PX, 3), np.uint8)
    assert expected.fallbacks == ()
    assert same_frames(new_animator(model).animate(inputs), expected)
    changes: list[dict[str, Any]] = [
        {"seed": 6},
        {"num_steps": 3},
        {"guidance_scale": 1.0},
        {"guidance_scale": 4.0},
        {"reference_HWC": 255 - inputs.reference_HWC},
        {"pose_THWC": 255 - inputs.pose_THWC},
    ]
    for change in changes:
        assert not same_frames(animator.animate(replace(inputs, **change)), expected), change
    for name, signal in inputs.signals.items():
        if signal.dtype == np.uint8:
            changed: NDArray[Any] = 255 - signal
        else:
            changed = ~signal if signal.dtype == bool else signal * (0.6, 0.8, 1)
        other = replace(inputs, signals={**inputs.signals, name: changed.astype(signal.dtype)})
        assert same_frames(animator.animate(other), expected) == (name not in model.variant.needs), name
    # Neither earlier requests nor the default of an option left out change the result.
    assert same_frames(animator.animate(replace(inputs, num_steps=animator.config.num_steps)), expected)


def test_a_guidance_scale_of_one_computes_no_unconditional_rows(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    animator = new_animator(model)
    make_denoiser = animator.implementation.denoiser
    rows: list[bool] = []

    def counting(network: nn.Module, conditions: Any) -> Any:
        denoiser = make_denoiser(network, conditions)

        def denoise(x: Tensor, t: int, windows: Sequence[Sequence[int]], conditional: Sequence[bool]) -> Tensor:
            rows.extend(conditional)
            return denoiser(x, t, windows, conditional)

        return denoise

    monkeypatch.setattr(animator.implementation, "denoiser", counting)
    animator.animate(request(guidance_scale=1.0))
    assert set(rows) == {True}
    animator.animate(request(guidance_scale=2.0))
    assert set(rows) == {True, False}


def test_clips_longer_than_a_window_do_not_depend_on_the_rows_of_a_call(model: Model) -> None:
    inputs = request(20, guidance_scale=2.0, num_steps=1)
    assert len(inputs.pose_THWC) > 2 * model.variant.config.windows.size
    # Five rows in a call mix the halves of guidance of three windows.
    animations = [new_animator(model, window_batch=rows).animate(inputs) for rows in (2, 5)]
    frames = [animation.frames_THWC.astype(int) for animation in animations]
    assert animations[0].window_borders == animations[1].window_borders != ()
    assert frames[0].shape == (20, SIDE_PX, SIDE_PX, 3)
    assert abs(frames[0] - frames[1]).max() <= 1  # kernels chosen by the batch size round differently
    # Frames beyond the first window follow the poses too.
    poses = inputs.pose_THWC.copy()
    poses[-1] = 0
    other = new_animator(model, window_batch=2).animate(replace(inputs, pose_THWC=poses)).frames_THWC
    assert not np.array_equal(other[-1], frames[0][-1])


def test_a_chain_of_clips_is_another_way_where_the_system_has_one(model: Model) -> None:
    inputs = request(20, num_steps=1)
    steps: list[tuple[int, int]] = []
    animator = new_animator(model)
    chained = replace(inputs, long_video="chain")
    if not model.variant.keeps_scene:
        with pytest.raises(ValueError, match="makes long videos by windows only"):
            animator.animate(chained)
        return
    animation = animator.animate(chained, on_step=lambda step, of: steps.append((step, of)))
    frames, windows = animation.frames_THWC, animator.animate(inputs).frames_THWC
    assert frames.shape == windows.shape
    assert not np.array_equal(frames, windows)
    assert steps == [(step, 3) for step in (1, 2, 3)]  # clips of 8 frames that share 2
    assert animation.window_borders == (8, 14)
    # A clip no longer than a window is the same either way.
    assert same_frames(
        animator.animate(request(8, num_steps=1)), animator.animate(request(8, num_steps=1, long_video="chain"))
    )


def test_one_frame_is_a_clip(model: Model) -> None:
    frames = new_animator(model).animate(request(1, num_steps=1)).frames_THWC
    assert frames.shape == (1, SIDE_PX, SIDE_PX, 3)


@pytest.mark.parametrize(
    ("fits", "fallbacks"),
    [
        (lambda plan: plan.window_batch <= 2, ("window_batch=2",)),
        (lambda plan: plan.vae_tiled, ("window_batch=1", "vae_tiled")),
        (lambda plan: plan.offload, ("window_batch=1", "vae_tiled", "offloaded")),
    ],
)
def test_memory_fallbacks_give_the_same_frames_and_are_named(
    model: Model, fits: Any, fallbacks: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    animator, inputs = new_animator(model, window_batch=4), request(guidance_scale=2.0, num_steps=1)
    expected = animator.animate(inputs).frames_THWC.astype(int)
    run = Animator._animate

    def out_of_memory(self: Animator, inputs: AnimationInputs, plan: MemoryPlan, on_step: Any) -> Any:
        frames = run(self, inputs, plan, on_step)
        if not fits(plan):
            raise torch.OutOfMemoryError("too much")
        return frames

    monkeypatch.setattr(Animator, "_animate", out_of_memory)
    animation = animator.animate(inputs)
    assert animation.fallbacks == fallbacks
    assert abs(animation.frames_THWC - expected).max() <= 1


def test_memory_too_small_for_the_most_economical_plan_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise torch.OutOfMemoryError("nothing fits")

    monkeypatch.setattr(Animator, "_animate", never)
    with pytest.raises(torch.OutOfMemoryError, match="nothing fits"):
        new_animator(tiny_model("animate-anyone")).animate(request())


@pytest.mark.parametrize("name", [name for name in CONFIGS if tiny_model(name).variant.needs])
def test_missing_and_short_signals_are_named(name: str) -> None:
    model = tiny_model(name)
    animator, inputs = new_animator(model), request()
    for signal in model.variant.needs:
        signals = {key: value for key, value in inputs.signals.items() if key != signal}
        with pytest.raises(ValueError, match=rf"{name} reads the signals \['{signal}'\], got "):
            animator.animate(replace(inputs, signals=signals))
        if signal in PER_CLIP_SIGNALS:
            continue
        with pytest.raises(ValueError, match=f"{name}: 3 skeleton drawings go with as many {signal}, got 2"):
            animator.animate(replace(inputs, signals={**inputs.signals, signal: inputs.signals[signal][:2]}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reference_HWC": np.zeros((60, 48, 3), np.uint8)}, "multiples of 8, got 48 x 60"),
        ({"pose_THWC": np.zeros((3, 64, 40, 3), np.uint8)}, r"must be \(T, 64, 64, 3\)"),
        ({"pose_THWC": np.zeros((0, 64, 64, 3), np.uint8)}, "T >= 1"),
    ],
)
def test_pictures_of_odd_or_different_sizes_are_refused(model: Model, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        new_animator(model).animate(request(**changes))
