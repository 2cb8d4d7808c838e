from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from models.animate_x.clip import ClipDenoiser, ClipInputs
from models.animate_x.training import AnimateXTask
from tiny_animate_x import TINY
from torch import Tensor, nn

from models.animate_x.config import AnimateXConfig
from models.animate_x.network import AnimateX
from models.appearance.image_encoder import new_puppets_image_encoder
from models.appearance.vae import PUPPETS_VAE, Vae, standardise, to_images
from models.common.unet.config import MambaConfig
from models.pose.pose_augment import rescaled
from models.puppets import render
from models.puppets.solo import sample_figure
from models.puppets.truth import truth_as_detections
from models.training.batch import SampleBatch
from models.training.encodings import warped_latents
from models.training.parallel import World
from models.training.recipe import LossConfig, OptimizerConfig, SamplingConfig, TrainingRecipe
from models.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
NUM_FRAMES = 3
BOTH = replace(TINY, reference="both")
WITHOUT_IPI = replace(TINY, unet=replace(TINY.unet, pose_attention=None), indicator=None)
MAMBA = replace(BOTH, temporal=replace(TINY.temporal, mamba=MambaConfig(state=4)))


def recipe(**changes: Any) -> TrainingRecipe:
    sampling = SamplingConfig(height_px=64, width_px=64, num_frames=NUM_FRAMES)
    return TrainingRecipe(**{"steps": 300, "batch_size": 2, "sampling": sampling, **changes})


def task(settings: TrainingRecipe, config: AnimateXConfig = BOTH, **options: Any) -> AnimateXTask:
    torch.manual_seed(0)
    vae = Vae(PUPPETS_VAE)
    with torch.no_grad():
        latents = vae.encode(to_images(batch().targets_BFHWC[0]))
    standardise(vae, latents.mean((0, 2, 3)), latents.std((0, 2, 3)))
    network = AnimateX(config)
    return AnimateXTask(
        network,
        settings,
        vae=vae,
        image_encoder=new_puppets_image_encoder(),
        text_tokens_1LD=network.without_text(),
        device=CPU,
        **options,
    )


def batch(samples: tuple[int, ...] = (0, 1)) -> SampleBatch:
    """Samples of one clip: moving squares, which are also their own skeletons and carry all key points."""
    rows = len(samples)
    frames = np.full((NUM_FRAMES + 1, 64, 64, 3), 60, np.uint8)
    keypoints = np.ones((NUM_FRAMES + 1, 133, 3), np.float32)
    for index, frame in enumerate(frames):
        frame[20:40, 4 + 8 * index : 24 + 8 * index] = (250, 120, 30)
        keypoints[index, :, :2] = np.random.default_rng(0).uniform((4 + 8 * index, 20), (24 + 8 * index, 40), (133, 2))
    skeletons = np.where(frames > 100, frames, 0).astype(np.uint8)
    return SampleBatch(
        samples_B=np.array(samples),
        clips_B=np.zeros(rows, np.int64),
        targets_BFHWC=frames[None, 1:].repeat(rows, 0),
        poses_BFHWC=skeletons[None, 1:].repeat(rows, 0),
        references_BHWC=frames[:1].repeat(rows, 0),
        reference_poses_BHWC=skeletons[:1].repeat(rows, 0),
        keypoints_BGK3=keypoints[None].repeat(rows, 0),
        pose_keypoints_BFK3=keypoints[None, 1:].repeat(rows, 0),
        target_frames_BF=np.arange(1, NUM_FRAMES + 1)[None].repeat(rows, 0),
        reference_frames_B=np.zeros(rows, np.int64),
        mirrored_B=np.zeros(rows, bool),
    )


@pytest.mark.nightly
@pytest.mark.parametrize("config", [BOTH, MAMBA], ids=["transformers", "mamba"])
def test_one_clip_is_learnt_by_heart(config: AnimateXConfig) -> None:
    settings = recipe(
        batch_size=1,
        # Where there is little noise, what is left of it shows only beside exact pixels, which 16 channels do not hold.
        loss=LossConfig(condition_dropout=0.0, noise_offset=0.0, snr_gamma=1.0),
        optimizer=OptimizerConfig(learning_rate=1e-2, warmup_steps=20, decay="cosine"),
    )
    trainer: Trainer[SampleBatch] = Trainer(task(settings, config, keep_bytes=1 << 20), settings, World())
    losses = [trainer.train_step([batch((step,))]).loss for step in range(settings.steps)]
    assert np.mean(losses[-15:]) < 0.3 * np.mean(losses[:15])


def test_a_run_continued_from_its_state_has_the_losses_of_the_unbroken_one() -> None:
    settings = recipe(ema_decay=0.9, loss=LossConfig(condition_dropout=0.3, keep_share=0.1, part_dropout=0.5))

    def run(trainer: Trainer[SampleBatch], last_step: int) -> list[float]:
        return [trainer.train_step([batch((2 * step, 2 * step + 1))]).loss for step in range(trainer.step, last_step)]

    first: Trainer[SampleBatch] = Trainer(task(settings), settings, World())
    losses = run(first, 2)
    second: Trainer[SampleBatch] = Trainer(task(settings), settings, World())
    second.load(first.state())
    assert run(second, 4) == run(first, 4)
    assert len(losses) == 2


@pytest.mark.parametrize(
    ("config", "idle"),
    [
        (BOTH, ()),
        (TINY, ("reference_pose.", "reference_latents.")),
        (replace(TINY, reference="first_frame"), ("picture.",)),
        (replace(BOTH, unet=WITHOUT_IPI.unet, indicator=None), ()),
    ],
    ids=["both", "picture", "first_frame", "without_ipi"],
)
def test_all_that_is_read_learns(config: AnimateXConfig, idle: tuple[str, ...]) -> None:
    settings = recipe(loss=LossConfig(condition_dropout=0.0))
    trained = task(settings, config)
    trainer: Trainer[SampleBatch] = Trainer(trained, settings, World())
    before = {name: value.clone() for name, value in trained.network.state_dict().items()}
    for step in range(4):  # what begins at zero lets nothing behind it learn in the first step
        trainer.train_step([batch((2 * step, 2 * step + 1))])
    after = trained.network.state_dict()
    still = {name for name, value in before.items() if torch.equal(after[name], value)}
    assert {name for name in still if not name.startswith(idle)} == set()
    assert all(any(name.startswith(prefix) for name in still) for prefix in idle)


def test_the_pose_indicator_learns_at_a_rate_of_its_own() -> None:
    settings = recipe(
        optimizer=OptimizerConfig(
            learning_rate=1e-3, warmup_steps=0, weight_decay=0.0, lr_multipliers={"indicator.": 0.01}
        )
    )
    trained = task(settings)
    before = {name: p.detach().clone() for name, p in trained.network.named_parameters()}
    trainer: Trainer[SampleBatch] = Trainer(trained, settings, World())
    trainer.train_step([batch()])
    trainer.train_step([batch((2, 3))])
    moved = {name: float((p.detach() - before[name]).abs().max()) for name, p in trained.network.named_parameters()}
    # Adam moves a number by the rate in its first step, and hardly more in the second.
    assert max(value for name, value in moved.items() if name.startswith("indicator.")) < 3e-5
    assert moved["denoiser.conv_in.weight"] > 9e-4


class _Spy(nn.Module):
    """Keeps what the network is given."""

    def __init__(self, network: AnimateX) -> None:
        super().__init__()
        self.network = network
        self.inputs: tuple[Any, ...] = ()
        self.warped_BCFHW: Tensor | None = None

    def forward(self, *inputs: Any, warped_BCFHW: Tensor | None = None) -> Tensor:
        self.inputs, self.warped_BCFHW = inputs, warped_BCFHW
        prediction: Tensor = self.network(*inputs, warped_BCFHW=warped_BCFHW)
        return prediction


def test_rows_are_what_the_denoiser_of_a_request_makes_with_conditions_and_without() -> None:
    """The same numbers as `ClipDenoiser`, which animates, row by row."""
    settings = recipe(loss=LossConfig(condition_dropout=0.5))
    trained = task(settings)
    for parameter in trained.network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)  # zeros would hide what goes through them
    spy = _Spy(trained.network)
    samples = tuple(range(6))
    trained.row_losses(spy, batch(samples))
    latents, t, embeds, text, picture, reference, reference_pose, poses, keypoints, features, conditional, _ = (
        spy.inputs
    )
    assert 0 < int(conditional.sum()) < len(samples)
    network, warped = trained.network.eval(), spy.warped_BCFHW
    assert warped is not None
    with torch.no_grad():
        predicted = network(*spy.inputs, warped_BCFHW=warped)
        for row in range(len(samples)):
            only = slice(row, row + 1)
            denoiser = ClipDenoiser(
                network,
                ClipInputs(
                    image_embeds_1E=embeds[only],
                    text_tokens_1LD=text,
                    reference_13HW=picture[only],
                    reference_latents_1CHW=reference[only],
                    reference_pose_13HW=reference_pose[only],
                    poses=lambda start, stop, row=row: poses[row, start:stop],
                    num_frames=NUM_FRAMES,
                    keypoints_FK=keypoints[row],
                    features_FE=features[row],
                    warped_CFHW=warped[row],
                ),
            )
            windows = [list(range(NUM_FRAMES))]
            expected = denoiser(latents[only], int(t[row]), windows, [bool(conditional[row])])
            torch.testing.assert_close(predicted[only], expected, atol=1e-4, rtol=1e-4)


def test_the_indicator_reads_the_motion_as_it_was_found_whatever_is_drawn() -> None:
    trained = task(recipe())
    spy = _Spy(trained.network)
    trained.row_losses(spy, batch())
    before, warped = spy.inputs, spy.warped_BCFHW
    assert warped is not None
    drawn = replace(
        batch(), poses_BFHWC=255 - batch().poses_BFHWC, pose_keypoints_BFK3=batch().pose_keypoints_BFK3[..., [1, 0, 2]]
    )
    trained.row_losses(spy, drawn)
    changed = [index for index, (one, other) in enumerate(zip(before, spy.inputs, strict=True)) if not one.equal(other)]
    assert changed == [7]
    assert spy.warped_BCFHW is not None
    assert not spy.warped_BCFHW.equal(warped)
    keypoints = before[8]
    assert keypoints.shape == (2, NUM_FRAMES + 1, 36)
    assert float(keypoints[0, 1, 0] - keypoints[0, 0, 0]) == pytest.approx(8 / 64)


def test_limbs_move_at_the_lengths_that_they_have_in_the_reference() -> None:
    frames = render(sample_figure(0, body="human", size_px=(64, 64)), 8.0, NUM_FRAMES + 1)
    keypoints = np.stack([truth_as_detections(frame.keypoints) for frame in frames])
    other = rescaled(keypoints[1:], {"shins": 1.5, "upper_arms": 0.6, "torso": 0.8})
    trained = task(recipe())
    spy = _Spy(trained.network)
    warped = []
    for poses in (keypoints[1:], other):
        trained.row_losses(
            spy, replace(batch((0,)), keypoints_BGK3=keypoints[None], pose_keypoints_BFK3=poses[None].copy())
        )
        assert spy.warped_BCFHW is not None
        warped.append(spy.warped_BCFHW)
    as_drawn = warped_latents(
        replace(batch((0,)), keypoints_BGK3=keypoints[None], pose_keypoints_BFK3=other[None]), trained._encode, CPU
    )
    assert float((warped[0] - as_drawn).abs().mean()) > 0.02
    assert float((warped[0] - warped[1]).abs().mean()) < 1e-3


def test_without_a_pose_indicator_driving_frames_are_not_encoded() -> None:
    settings = recipe()
    trained = task(settings, WITHOUT_IPI)
    counts: list[int] = []
    embed = trained._embeds._encode
    trained._embeds._encode = lambda images: counts.append(len(images)) or embed(images)  # type: ignore[func-returns-value]  # None, so that `or` goes on
    assert trained.row_losses(trained.network, batch()).shape == (2,)
    assert counts == [2]


@pytest.mark.parametrize("config", [BOTH, MAMBA], ids=["transformers", "mamba"])
def test_bfloat16_computes_about_the_same_and_keeps_weights_in_float32(config: AnimateXConfig) -> None:
    settings = recipe(precision="bfloat16")
    trainer: Trainer[SampleBatch] = Trainer(task(settings, config), settings, World())
    exact: Trainer[SampleBatch] = Trainer(task(recipe(), config), recipe(), World())
    losses = [[each.train_step([batch((step,))]).loss for step in range(2)] for each in (trainer, exact)]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    assert {value.dtype for value in trainer.state().weights.values()} == {torch.float32}


def test_kept_encodings_change_nothing() -> None:
    kept, fresh = task(recipe(), keep_bytes=1 << 20), task(recipe())
    for _ in range(2):
        assert torch.allclose(
            kept.row_losses(kept.network, batch()), fresh.row_losses(fresh.network, batch()), atol=1e-5
        )


@pytest.mark.parametrize(
    ("changes", "config", "words"),
    [
        ({"stage": 2}, TINY, "trained in one stage, got stage 2"),
        (
            {},
            replace(TINY, temporal=replace(TINY.temporal, positions=True, max_frames=3)),
            "num_frames is 3, and the reference one more; the temporal layers have positions for 3",
        ),
    ],
)
def test_impossible_recipes_are_refused(changes: dict[str, Any], config: AnimateXConfig, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        task(recipe(**changes), config)
