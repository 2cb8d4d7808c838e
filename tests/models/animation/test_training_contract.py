"""Properties that training has with every animation system, at its smallest size, and its agreement with inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_systems import (
    CONFIGS,
    CPU,
    NUM_FRAMES,
    SIDE_PX,
    STAGES,
    new_encoders,
    new_network,
    new_recipe,
    new_task,
    request,
    sample_batch,
    tiny_model,
)
from torch import Tensor, nn

from models.animation.animator import AnimationInputs, RequestEncoder
from models.animation.system import Model
from models.animation.task import BatchEncoder, sample_clip
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


def is_unused_with_one_token(name: str) -> bool:
    """Attention to one context token is its value, whatever the query and the key."""
    parts = ("attn2.to_q", "attn2.to_k", ".transformer_blocks.0.norm2.")
    return ".motion_modules." not in name and any(part in name for part in parts)


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
