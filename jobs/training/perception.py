"""Training job of the embedded perception networks on puppets."""

from __future__ import annotations

import datetime
import json
import logging
import multiprocessing
import os
import platform
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from jobs.cards.perception import write_card
from jobs.training.puppet_networks import puppet_network_recipe, train_network
from models.common.checkpoint import load_checkpoint, read_metadata, save_checkpoint
from models.perception.augment import ObjectSample, figure_sample, object_sample
from models.perception.embedded import EmbeddedFigure
from models.perception.embedded_objects import EmbeddedObjects
from models.perception.losses import FigureBatch, figure_losses, object_losses
from models.perception.network import PerceptionNet, PerceptionNetConfig
from models.perception.puppet_frames import PuppetFrames, PuppetFramesConfig, open_frames, render_frames
from models.perception.scores import figure_scores, object_scores, tracking_scores
from models.perception.shipped import CHECKPOINTS
from models.puppets import PuppetFrame, render_frame, sample_spec
from models.training.loss_terms import LossTermsTask
from models.training.recipe import OptimizationRecipe

logger = logging.getLogger(__name__)

FIGURE = PerceptionNetConfig(widths=(16, 48, 96, 160, 192))
OBJECT = PerceptionNetConfig(
    input_px=96, input_channels=5, widths=(16, 32, 64, 96, 128), num_keypoints=0, depth=False, mask=True
)
FIRST_HELDOUT_SEED = 6_000_000
VIDEOS_PER_TASK = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainPerceptionConfig:
    """Configuration of `train_perception`.

    Args:
        work: folder for rendered frames and training states; a killed job started again with it continues.
        out: folder for the checkpoints and their card.
        start_from: folder of checkpoints to initialise the networks from; None: random weights.
        networks: networks to train; the others keep their checkpoint in `out`.
        first_seed, num_videos: seeds of the training videos, one per video.
        improvised_share: share of videos with random poses instead of authored motions.
        negative_share: share of training samples without a character, or with a prompt that hits no object.
        heldout_videos, heldout_clips: held-out videos for scores of frames and of tracking.
    """

    work: Path
    out: Path = CHECKPOINTS
    start_from: Path | None = None
    networks: tuple[Literal["figure", "object"], ...] = ("figure", "object")
    figure: OptimizationRecipe = field(default_factory=lambda: puppet_network_recipe(steps=5000))
    object: OptimizationRecipe = field(default_factory=lambda: puppet_network_recipe(steps=4000))
    first_seed: int = 0
    num_videos: int = 4000
    frames_per_video: int = 4
    improvised_share: float = 0.6
    negative_share: float = 0.12
    heldout_videos: int = 200
    heldout_clips: int = 12
    render_processes: int = 2

    def __post_init__(self) -> None:
        if not self.networks or set(self.networks) - {"figure", "object"}:
            raise ValueError(f"networks must name 'figure', 'object' or both, got {self.networks}")
        if not 0 <= self.first_seed <= self.first_seed + self.num_videos <= FIRST_HELDOUT_SEED:
            raise ValueError(f"training seeds must lie in 0 … {FIRST_HELDOUT_SEED}, got {self.first_seed}")


def from_command_line(config: TrainPerceptionConfig, *, learning_rate: float | None = None) -> dict[str, float]:
    """Entry point of `zoetrope train perception`: `train_perception` with progress on stderr."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    if learning_rate is not None:
        config = replace(
            config,
            figure=_with_learning_rate(config.figure, learning_rate),
            object=_with_learning_rate(config.object, learning_rate),
        )
    return train_perception(config)


def _with_learning_rate(recipe: OptimizationRecipe, learning_rate: float) -> OptimizationRecipe:
    return replace(recipe, optimizer=replace(recipe.optimizer, learning_rate=learning_rate))


def train_perception(config: TrainPerceptionConfig) -> dict[str, float]:
    """Render puppets, train the networks, evaluate them on held-out puppets, write checkpoints and card.

    Set `MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000` in the environment: glibc then reuses the memory of
    large tensors, and a step takes about half as long.

    Returns:
        Scores on held-out puppets by name.
    """
    config.work.mkdir(parents=True, exist_ok=True)
    config.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    frames_config = PuppetFramesConfig(
        split="train",
        first_seed=config.first_seed,
        num_videos=config.num_videos,
        frames_per_video=config.frames_per_video,
        side_px=FIGURE.input_px,
        improvised_share=config.improvised_share,
    )
    frames = rendered(frames_config, config.work / "frames", processes=config.render_processes)
    for name in config.networks:
        network, metadata = _train_one(name, config, frames)
        save_checkpoint(
            network.state_dict(),
            config.out / f"{name}.safetensors",
            metadata=metadata,
            float_dtype=torch.float16,
        )
    scores = evaluate_perception(config.out, num_videos=config.heldout_videos, num_clips=config.heldout_clips)
    write_card(config.out, scores)
    return scores


def evaluate_perception(folder: Path, *, num_videos: int, num_clips: int) -> dict[str, float]:
    """Scores of the checkpoints of a folder on two frames of each of `num_videos` held-out puppet videos.

    Object tracking is evaluated on the first second of `num_clips` of them, at 12 frames per second.
    """
    torch.set_num_threads(1)
    puppets = heldout_frames(num_videos, frames_per_video=2)
    figure, objects = EmbeddedFigure(folder / "figure.safetensors"), EmbeddedObjects(folder / "object.safetensors")
    clips = [heldout_clip(FIRST_HELDOUT_SEED + video) for video in range(num_clips)]
    scores = {
        "heldout_frames": float(len(puppets)),
        **figure_scores(figure, puppets),
        **object_scores(objects, puppets),
        **tracking_scores(objects, clips),
    }
    logger.info("held-out scores: %s", json.dumps(scores))
    return scores


def heldout_frames(num_videos: int, *, frames_per_video: int) -> list[PuppetFrame]:
    """Frames of characters and motions absent from the training videos, with a long side of 384 pixels."""
    puppets = []
    for video in range(num_videos):
        seed = FIRST_HELDOUT_SEED + video
        rng = np.random.default_rng(seed)
        spec = sample_spec(seed, split="heldout", size_px=((384, 288), (288, 384))[video % 2])
        puppets += [render_frame(spec, rng.uniform(0, spec.duration_seconds)) for _ in range(frames_per_video)]
    return puppets


def heldout_clip(seed: int) -> list[PuppetFrame]:
    """The first second of a held-out video at 12 frames per second."""
    spec = sample_spec(seed, split="heldout", size_px=(288, 384))
    return [render_frame(spec, t / 12) for t in range(12)]


def rendered(config: PuppetFramesConfig, folder: Path, *, processes: int) -> PuppetFrames:
    """Puppet frames of the configuration; missing ones are rendered."""
    frames = open_frames(config, folder)
    missing = np.flatnonzero(~frames.done.reshape(config.num_videos, -1).all(axis=1))
    if len(missing):
        logger.info("rendering %d of %d videos", len(missing), config.num_videos)
        chunks = [missing[i : i + VIDEOS_PER_TASK].tolist() for i in range(0, len(missing), VIDEOS_PER_TASK)]
        with ProcessPoolExecutor(
            processes, mp_context=multiprocessing.get_context("spawn"), initializer=os.nice, initargs=(10,)
        ) as pool:
            for count, _ in enumerate(pool.map(_render, [(config, folder, videos) for videos in chunks]), start=1):
                if count % 50 == 0:
                    logger.info("rendered %d of %d videos", count * VIDEOS_PER_TASK, len(missing))
    return frames


def _render(task: tuple[PuppetFramesConfig, Path, list[int]]) -> None:
    config, folder, videos = task
    render_frames(config, open_frames(config, folder), videos)


def _train_one(
    name: Literal["figure", "object"], config: TrainPerceptionConfig, frames: PuppetFrames
) -> tuple[PerceptionNet, dict[str, object]]:
    """Trains one network. Returns it with the metadata of its checkpoint."""
    shape, recipe = (FIGURE, config.figure) if name == "figure" else (OBJECT, config.object)
    torch.manual_seed(recipe.seed)
    network = PerceptionNet(shape)
    earlier_steps = 0
    if config.start_from is not None:
        start = config.start_from / f"{name}.safetensors"
        load_checkpoint(network, start)
        earlier_steps = int(str(read_metadata(start)["steps"]))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    state_path = config.work / f"{name}.state.pt"
    has_object = (frames.object_labels == 1).any(axis=(1, 2))
    indices = np.arange(len(frames.done)) if name == "figure" else np.flatnonzero(has_object)

    def draw_figures(rng: np.random.Generator, batch_size: int) -> FigureBatch:
        chosen = rng.choice(indices, batch_size, replace=False)
        return FigureBatch.of(
            [figure_sample(frames, int(index), rng, negative_share=config.negative_share) for index in chosen]
        )

    def draw_objects(rng: np.random.Generator, batch_size: int) -> list[ObjectSample]:
        chosen = rng.choice(indices, batch_size, replace=False)
        return [
            object_sample(frames, int(index), rng, side_px=shape.input_px, negative_share=config.negative_share)
            for index in chosen
        ]

    if name == "figure":
        task = LossTermsTask(network, figure_losses)
        seconds = train_network(task, recipe, draw_batch=draw_figures, state_path=state_path)
    else:
        object_task = LossTermsTask(network, object_losses)
        seconds = train_network(object_task, recipe, draw_batch=draw_objects, state_path=state_path)
    return network, {
        "network": asdict(shape),
        "steps": earlier_steps + recipe.steps,
        "minutes": round(seconds / 60, 1),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": f"{platform.machine()}, one core, torch {torch.__version__}, no GPU",
        "settings": {
            **asdict(recipe),
            "training_frames": len(indices),
            "first_seed": config.first_seed,
            "negative_share": config.negative_share,
            "improvised_share": config.improvised_share,
            "continued": config.start_from is not None,
        },
    }
