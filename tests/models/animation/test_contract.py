"""Properties that every animation system has, at its smallest size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_systems import (
    CONFIGS,
    CPU,
    NUM_FRAMES,
    SIDE_PX,
    STAGES,
    new_animator,
    new_encoders,
    new_network,
    new_recipe,
    new_task,
    request,
    sample_batch,
    tiny_model,
)
from torch import Tensor, nn

from models.animation.animator import Animation, AnimationInputs, Animator, RequestEncoder
from models.animation.signals import PER_CLIP_SIGNALS
from models.animation.system import Model
from models.animation.task import BatchEncoder, sample_clip
from models.common.memory import MemoryPlan
from models.training.batch import SampleBatch
from models.training.diffusion import NoisyBatch
from models.training.encodings import Encodings
from models.training.parallel import World
from models.training.recipe import LossConfig, OptimizerConfig
from models.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("one_thread")

PLAIN = LossConfig(condition_dropout=0.0, noise_offset=0.0, snr_gamma=None)
UNTRAINED = {
    "animate-anyone": (),
    "animate-anyone-2": (),
    "animate-anyone-puppets": (),
    "animate-anyone-2-puppets": (),
    "animate-x": ("reference_pose.", "reference_latents."),
    "unianimate": ("picture.",),
    "animate-x-puppets": (),
    "x-dyna": (),
    "x-dyna-puppets": (),
}
"""Parameters that a configuration does not use: published checkpoints have the layers of both forms of reference."""


@pytest.fixture(params=CONFIGS)
def model(request: pytest.FixtureRequest) -> Model:
    return tiny_model(request.param)


def same_frames(first: Animation, second: Animation) -> bool:
    return np.array_equal(first.frames_THWC, second.frames_THWC)


def is_unused_with_one_token(name: str) -> bool:
    """Attention to one context token is its value, whatever the query and the key."""
    parts = ("attn2.to_q", "attn2.to_k", ".transformer_blocks.0.norm2.")
    return ".motion_modules." not in name and any(part in name for part in parts)


# Inference


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


# Inference and training agree


def conditions_for_training(model: Model, network: nn.Module, batch: SampleBatch) -> Any:
    encoders = new_encoders()
    encoded = (encoders.vae.encode, encoders.image_encoder, encoders.image_encoder.tokens)
    encoder = BatchEncoder(batch, encoders, *(Encodings(encode, device=CPU) for encode in encoded), device=CPU)
    return model.system.implementation().conditions(sample_clip(batch), encoder, network)


def conditions_for_inference(model: Model, network: nn.Module, inputs: AnimationInputs) -> Any:
    implementation, needs = model.system.implementation(), model.variant.needs
    inputs = replace(inputs, signals={name: inputs.signals[name] for name in needs})
    clip = inputs.clip(len(inputs.pose_THWC))
    encoder = RequestEncoder(clip, new_encoders(), device=CPU, dtype=torch.float32, batch=2)
    return implementation.conditions(clip, encoder, network)


@torch.no_grad()
def test_a_clip_driven_by_itself_has_the_same_conditions_in_training_and_inference(model: Model) -> None:
    network = new_network(model)
    training = conditions_for_training(model, network, sample_batch(NUM_FRAMES, (0,)))
    inference = conditions_for_inference(model, network, request())
    assert type(training) is type(inference)
    tensors = 0
    for field in fields(training):
        first, second = getattr(training, field.name), getattr(inference, field.name)
        if isinstance(first, np.ndarray):
            np.testing.assert_array_equal(first, second)
        elif isinstance(first, Tensor):
            torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-5, msg=lambda m, f=field: f"{f.name}: {m}")
            tensors += 1
        else:
            assert field.name == "draft" or (first is None and second is None), field.name
    assert tensors >= 2


@torch.no_grad()
@pytest.mark.parametrize(("name", "stage"), STAGES)
@pytest.mark.parametrize("conditional", [(True, False, True), (False, False, False)], ids=["mixed", "unconditional"])
def test_training_predicts_what_the_denoiser_of_a_request_does(
    name: str, stage: int, conditional: tuple[bool, ...]
) -> None:
    model = tiny_model(name)
    recipe = new_recipe(model, stage)
    network, implementation = new_network(model), model.system.implementation()
    implementation.enter_stage(network, stage)
    num_frames = recipe.sampling.num_frames
    conditions = conditions_for_training(model, network, sample_batch(num_frames, (0, 1, 2)))
    noisy = noisy_batch(model, num_frames, conditional)
    predicted = implementation.predict(network, noisy, conditions, stage)
    for row, is_conditional in enumerate(conditional):
        alone = conditions_for_training(model, network, sample_batch(num_frames, (row,)))
        denoise = implementation.denoiser(network, alone)
        expected = denoise(
            noisy.noisy_BCFHW[row : row + 1], int(noisy.t_B[row]), [list(range(num_frames))], [is_conditional]
        )
        torch.testing.assert_close(predicted[row : row + 1], expected, atol=1e-4, rtol=1e-4)
    if len(set(conditional)) == 2:
        other = implementation.predict(
            network, replace(noisy, **masks(model, (False, False, False))), conditions, stage
        )
        assert (other - predicted).abs().amax((1, 2, 3, 4))[0] > 1e-3


def masks(model: Model, conditional: Sequence[bool]) -> dict[str, Tensor]:
    conditional_B = torch.tensor(conditional)
    num_droppable = len(model.system.implementation().droppable)
    return {"conditional_B": conditional_B, "kept_BP": conditional_B[:, None].expand(-1, num_droppable)}


def noisy_batch(model: Model, num_frames: int, conditional: Sequence[bool]) -> NoisyBatch:
    generator = torch.Generator().manual_seed(1)
    rows, side = len(conditional), SIDE_PX // 8
    shape = (rows, model.variant.config.unet.in_channels, num_frames, side, side)
    noisy, target = torch.randn((2, *shape), generator=generator)
    return NoisyBatch(
        noisy_BCFHW=noisy,
        target_BCFHW=target,
        t_B=torch.arange(rows) * 100 + 7,
        weights_B=torch.ones(rows),
        **masks(model, conditional),
    )


# Training


@torch.no_grad()
@pytest.mark.parametrize(("name", "stage"), STAGES)
def test_the_loss_of_a_row_does_not_depend_on_the_other_rows(name: str, stage: int) -> None:
    model = tiny_model(name)
    recipe = new_recipe(model, stage, loss=LossConfig(condition_dropout=0.4, part_dropout=0.3))
    task, num_frames = new_task(model, recipe), recipe.sampling.num_frames
    together = task.row_losses(task.network, sample_batch(num_frames, (0, 1, 2, 3)))
    assert (together.shape, together.dtype) == ((4,), torch.float32)
    for row in range(4):
        alone = task.row_losses(task.network, sample_batch(num_frames, (row,)))
        torch.testing.assert_close(alone[0], together[row], atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(("name", "stage"), STAGES)
def test_stored_and_cached_encodings_give_the_same_losses_as_computed_ones(name: str, stage: int) -> None:
    model = tiny_model(name)
    recipe = new_recipe(model, stage, loss=PLAIN)
    batch = sample_batch(recipe.sampling.num_frames)
    task = new_task(model, recipe)
    expected = task.row_losses(task.network, batch)
    cached = new_task(model, recipe, keep_bytes=1 << 20)
    for _ in range(2):
        torch.testing.assert_close(cached.row_losses(cached.network, batch), expected, atol=1e-5, rtol=1e-4)

    encoders = new_encoders()
    latents, embeds = (Encodings(encode, device=CPU) for encode in (encoders.vae.encode, encoders.image_encoder))

    def stored(encodings: Encodings) -> Any:
        targets = encodings.targets(batch, None)
        targets_BG = targets.reshape(len(batch), -1, *targets.shape[1:])
        return torch.cat([encodings.references(batch, None)[:, None], targets_BG], 1).half().numpy()

    without_pictures = replace(
        batch,
        targets_BFHWC=None,
        references_BHWC=batch.references_BHWC if model.variant.reads_reference_picture else None,
        latents_BGCHW=stored(latents),
        embeddings_BGE=stored(embeds),
    )
    torch.testing.assert_close(task.row_losses(task.network, without_pictures), expected, atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("name", [name for name in CONFIGS if tiny_model(name).variant.reads_reference_picture])
def test_a_network_that_reads_reference_pictures_says_so_where_there_are_none(name: str) -> None:
    model = tiny_model(name)
    task = new_task(model, new_recipe(model))
    batch = sample_batch(task.recipe.sampling.num_frames)
    shape = (len(batch), task.recipe.sampling.num_frames + 1)
    encodings = {
        "latents_BGCHW": np.zeros((*shape, model.variant.config.unet.in_channels, 8, 8), np.float16),
        "embeddings_BGE": np.zeros((*shape, 64), np.float16),
    }
    with pytest.raises(ValueError, match="reads reference pictures, and the clips have none"):
        task.row_losses(task.network, replace(batch, references_BHWC=None, **encodings))


@pytest.mark.parametrize(("name", "stage"), STAGES)
def test_steps_lower_the_loss_of_a_batch_and_change_the_parameters_of_the_stage(name: str, stage: int) -> None:
    model = tiny_model(name)
    recipe = new_recipe(model, stage, loss=PLAIN, optimizer=OptimizerConfig(learning_rate=3e-3))
    torch.manual_seed(0)
    # Zero-initialised layers stay so: nothing behind one is trained by the first step.
    task = new_task(model, recipe, network=model.system.implementation().new_network(model.variant.config))
    before = {name: value.clone() for name, value in task.network.state_dict().items()}
    trainer: Trainer[SampleBatch] = Trainer(task, recipe, World())
    losses = [trainer.train_step([sample_batch(recipe.sampling.num_frames)]).loss for _ in range(5)]
    assert losses[-1] < 0.98 * losses[0]
    after = task.network.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(after[name], value)}
    trained = {name for name, parameter in task.network.named_parameters() if parameter.requires_grad}
    assert trained <= {name for name in before if task.learns(name)}
    assert changed <= trained
    idle = {parameter for parameter in trained - changed if not parameter.startswith(UNTRAINED[name])}
    assert not {name for name in idle if not is_unused_with_one_token(name)}


@pytest.mark.parametrize(("name", "stage"), STAGES)
def test_every_trained_parameter_has_a_gradient_whatever_rows_are_unconditional(name: str, stage: int) -> None:
    model = tiny_model(name)
    recipe = new_recipe(model, stage)
    task, implementation = new_task(model, recipe), model.system.implementation()
    network = Trainer(task, recipe, World()).task.network
    num_frames = recipe.sampling.num_frames
    conditions = conditions_for_training(model, network, sample_batch(num_frames))
    expected = {
        parameter
        for parameter, value in network.named_parameters()
        if value.requires_grad
        and not parameter.startswith(UNTRAINED[name])
        and not ("anyone" in name and is_unused_with_one_token(parameter))
    }
    for conditional in ((True, True), (True, False), (False, False)):
        network.zero_grad(set_to_none=True)
        noisy = noisy_batch(model, num_frames, conditional)
        noisy.row_losses(implementation.predict(network, noisy, conditions, stage)).sum().backward()
        assert {name for name, value in network.named_parameters() if value.grad is not None} == expected


@pytest.mark.parametrize(("name", "stage"), STAGES)
def test_gradient_checkpointing_computes_the_same(name: str, stage: int) -> None:
    model = tiny_model(name)
    gradients = []
    for checkpointing in (False, True):
        recipe = new_recipe(model, stage, gradient_checkpointing=checkpointing)
        trainer: Trainer[SampleBatch] = Trainer(new_task(model, recipe), recipe, World())
        network = trainer.task.network
        trainer.task.row_losses(network, sample_batch(recipe.sampling.num_frames)).sum().backward()
        gradients.append({name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None})
    assert gradients[0]
    for parameter, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][parameter], gradient)


@pytest.mark.parametrize("name", CONFIGS)
def test_bfloat16_computes_about_the_same_and_keeps_weights_in_float32(name: str) -> None:
    model = tiny_model(name)
    losses = []
    for precision in ("float32", "bfloat16"):
        recipe = new_recipe(model, precision=precision)
        trainer: Trainer[SampleBatch] = Trainer(new_task(model, recipe), recipe, World())
        losses.append(trainer.train_step([sample_batch(recipe.sampling.num_frames)]).loss)
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    assert {value.dtype for value in trainer.state().weights.values()} == {torch.float32}


@pytest.mark.parametrize("name", CONFIGS)
def test_an_unknown_stage_is_refused(name: str) -> None:
    model = tiny_model(name)
    recipe = replace(new_recipe(model), stage=len(model.system.stages) + 1)
    with pytest.raises(ValueError, match=f"the system is trained in stage.* got {recipe.stage}"):
        new_task(model, recipe)
