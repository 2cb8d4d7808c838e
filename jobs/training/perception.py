"""Training job of the embedded perception networks on puppets."""

from __future__ import annotations

import datetime
import json
import logging
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeVar, get_args

import numpy as np
import torch
from torch import Tensor

from jobs.cards.perception import write_card
from jobs.cards.records import steps_so_far
from jobs.training.account import NetworksAccount
from jobs.training.puppet_frames import (
    FIRST_HELDOUT_SEED,
    heldout_clip,
    heldout_frames,
    heldout_interaction,
    heldout_portrait,
    rendered,
    rendered_portraits,
)
from jobs.training.puppet_networks import puppet_network_recipe, train_network
from models.common.checkpoint import load_checkpoint, save_checkpoint
from models.perception.augment import FaceSample, ObjectSample, face_sample, figure_sample, object_sample
from models.perception.embedded import EmbeddedFigure
from models.perception.embedded_objects import EmbeddedObjects
from models.perception.face_landmarks import FaceLandmarks
from models.perception.face_scores import face_scores
from models.perception.losses import FigureBatch, face_losses, figure_losses, object_losses
from models.perception.network import PerceptionNet, PerceptionNetConfig
from models.perception.portrait_frames import PortraitFramesConfig
from models.perception.puppet_frames import PuppetFrames, PuppetFramesConfig
from models.perception.scores import figure_scores, object_scores, tracking_score
from models.perception.shipped import FIGURE_CHECKPOINT
from models.pose.skeleton import NUM_FACE_LANDMARKS
from models.training.loss_terms import LossTermsTask
from models.training.recipe import OptimizationRecipe

logger = logging.getLogger(__name__)

FIGURE = PerceptionNetConfig(widths=(16, 48, 96, 160, 192))
OBJECT = PerceptionNetConfig(
    input_px=96, input_channels=5, widths=(16, 32, 64, 96, 128), num_keypoints=0, depth=False, mask=True
)
FACE = PerceptionNetConfig(
    input_px=64, widths=(16, 32, 48, 64, 64), num_keypoints=NUM_FACE_LANDMARKS, depth=False, mask=False
)
FRAMES_PER_PORTRAIT = 8

Network = Literal["figure", "object", "face"]
NETWORKS: tuple[Network, ...] = get_args(Network)
_Trained = tuple[PerceptionNet, dict[str, object]]
BatchT = TypeVar("BatchT")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainPerceptionConfig:
    """Configuration of `train_perception`.

    Args:
        work: folder for rendered frames and training states; a killed job started again with it continues.
        out: folder for the checkpoints and their card.
        start_from: folder of checkpoints to initialise the networks from; None: random weights.
        networks: networks to train; the others keep their checkpoint in `out`, if it has one.
        first_seed, num_videos: seeds of the training videos, one per video.
        improvised_share: share of videos with random poses instead of authored motions.
        interacting_share: share of videos of characters that handle or meet objects.
        negative_share: share of training samples without a character, or with a prompt that hits no object.
        heldout_videos, heldout_clips, heldout_interactions: held-out videos for scores of frames, of tracking, and of
            tracking what a character handles or meets.
        num_portraits: portraits that the face network is trained on, from `first_seed` on.
        heldout_portraits: held-out portraits for its scores.
    """

    work: Path
    out: Path
    start_from: Path | None = None
    networks: tuple[Network, ...] = NETWORKS
    figure: OptimizationRecipe = field(default_factory=lambda: puppet_network_recipe(steps=5000))
    object: OptimizationRecipe = field(default_factory=lambda: puppet_network_recipe(steps=4000))
    face: OptimizationRecipe = field(default_factory=lambda: puppet_network_recipe(steps=3000, batch_size=16))
    first_seed: int = 0
    num_videos: int = 4000
    frames_per_video: int = 4
    improvised_share: float = 0.6
    interacting_share: float = 0.5
    negative_share: float = 0.12
    heldout_videos: int = 200
    heldout_clips: int = 12
    heldout_interactions: int = 60
    num_portraits: int = 1000
    heldout_portraits: int = 24
    render_processes: int = 2

    def __post_init__(self) -> None:
        if not self.networks or set(self.networks) - set(NETWORKS):
            raise ValueError(f"networks must name some of {', '.join(NETWORKS)}, got {self.networks}")
        last_seed = self.first_seed + max(self.num_videos, self.num_portraits)
        if not 0 <= self.first_seed <= last_seed <= FIRST_HELDOUT_SEED:
            raise ValueError(f"training seeds must lie in 0 … {FIRST_HELDOUT_SEED}, got {self.first_seed}")


def from_command_line(config: TrainPerceptionConfig, *, learning_rate: float | None = None) -> dict[str, float]:
    """Entry point of `zoetrope train perception`: `train_perception` with progress on stderr."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    if learning_rate is not None:
        config = replace(
            config,
            figure=_with_learning_rate(config.figure, learning_rate),
            object=_with_learning_rate(config.object, learning_rate),
            face=_with_learning_rate(config.face, learning_rate),
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
    with NetworksAccount("perception", config.out) as account:
        for name in config.networks:
            network, metadata = _TRAIN[name](config, account)
            save_checkpoint(
                network.state_dict(),
                config.out / f"{name}.safetensors",
                metadata=metadata,
                float_dtype=torch.float16,
            )
        scores = evaluate_perception(
            config.out,
            num_videos=config.heldout_videos,
            num_clips=config.heldout_clips,
            num_interactions=config.heldout_interactions,
            num_portraits=config.heldout_portraits,
        )
        write_card(config.out, scores)
    return scores


def evaluate_perception(
    folder: Path, *, num_videos: int, num_clips: int, num_interactions: int, num_portraits: int
) -> dict[str, float]:
    """Scores of the checkpoints of a folder on two frames of each of `num_videos` held-out puppet videos.

    Object tracking is evaluated on the first second of `num_clips` of them, at 12 frames per second, and on
    `num_interactions` videos whose characters handle or meet objects; face landmarks on `num_portraits` held-out
    portraits, whose faces the figure network finds: that of the folder, or else the one that ships. Networks that are
    not in the folder have no scores.
    """
    torch.set_num_threads(1)
    puppets = heldout_frames(num_videos, frames_per_video=2)
    paths = {name: path for name in NETWORKS if (path := folder / f"{name}.safetensors").is_file()}
    figure = EmbeddedFigure(paths.get("figure", FIGURE_CHECKPOINT))
    scores = {"heldout_frames": float(len(puppets))}
    if "figure" in paths:
        scores |= figure_scores(figure, puppets)
    if "object" in paths:
        objects = EmbeddedObjects(paths["object"])
        clips = [heldout_clip(FIRST_HELDOUT_SEED + video) for video in range(num_clips)]
        handled = [heldout_interaction(FIRST_HELDOUT_SEED + video) for video in range(num_interactions)]
        scores |= object_scores(objects, puppets)
        scores |= {"object_iou_tracked": tracking_score(objects, clips)}
        scores |= {"object_iou_handled": tracking_score(objects, handled)}
    if "face" in paths:
        portraits = [heldout_portrait(FIRST_HELDOUT_SEED + video) for video in range(num_portraits)]
        scores |= {"portraits": float(num_portraits), **face_scores(FaceLandmarks(paths["face"]), figure, portraits)}
    logger.info("held-out scores: %s", json.dumps(scores))
    return scores


def _train_figure(config: TrainPerceptionConfig, account: NetworksAccount) -> _Trained:
    frames = _puppet_frames(config)
    indices = np.arange(len(frames.done))

    def draw(rng: np.random.Generator, batch_size: int) -> FigureBatch:
        chosen = rng.choice(indices, batch_size, replace=False)
        return FigureBatch.of(
            [figure_sample(frames, int(index), rng, negative_share=config.negative_share) for index in chosen]
        )

    return _trained("figure", FIGURE, config.figure, config, account, figure_losses, draw, num_frames=len(indices))


def _train_object(config: TrainPerceptionConfig, account: NetworksAccount) -> _Trained:
    frames = _puppet_frames(config)
    indices = np.flatnonzero((frames.object_labels == 1).any(axis=(1, 2)))

    def draw(rng: np.random.Generator, batch_size: int) -> list[ObjectSample]:
        chosen = rng.choice(indices, batch_size, replace=False)
        side_px, share = OBJECT.input_px, config.negative_share
        return [object_sample(frames, int(index), rng, side_px=side_px, negative_share=share) for index in chosen]

    return _trained("object", OBJECT, config.object, config, account, object_losses, draw, num_frames=len(indices))


def _train_face(config: TrainPerceptionConfig, account: NetworksAccount) -> _Trained:
    frames_config = PortraitFramesConfig(
        split="train",
        first_seed=config.first_seed,
        num_videos=config.num_portraits,
        frames_per_video=FRAMES_PER_PORTRAIT,
    )
    frames = rendered_portraits(frames_config, config.work / "portraits", processes=config.render_processes)

    def draw(rng: np.random.Generator, batch_size: int) -> list[FaceSample]:
        chosen = rng.choice(len(frames.done), batch_size, replace=False)
        side_px, negative_share = FACE.input_px, config.negative_share
        return [
            face_sample(frames, int(index), rng, side_px=side_px, negative_share=negative_share) for index in chosen
        ]

    return _trained("face", FACE, config.face, config, account, face_losses, draw, num_frames=len(frames.done))


def _puppet_frames(config: TrainPerceptionConfig) -> PuppetFrames:
    frames_config = PuppetFramesConfig(
        split="train",
        first_seed=config.first_seed,
        num_videos=config.num_videos,
        frames_per_video=config.frames_per_video,
        side_px=FIGURE.input_px,
        improvised_share=config.improvised_share,
        interacting_share=config.interacting_share,
    )
    return rendered(frames_config, config.work / "frames", processes=config.render_processes)


def _trained(
    name: Network,
    shape: PerceptionNetConfig,
    recipe: OptimizationRecipe,
    config: TrainPerceptionConfig,
    account: NetworksAccount,
    losses: Callable[[PerceptionNet, BatchT], Mapping[str, Tensor]],
    draw_batch: Callable[[np.random.Generator, int], BatchT],
    *,
    num_frames: int,
) -> _Trained:
    """Trains a network. Returns it with the metadata of its checkpoint."""
    torch.manual_seed(recipe.seed)
    network = PerceptionNet(shape)
    earlier_steps = 0
    if config.start_from is not None:
        start = config.start_from / f"{name}.safetensors"
        load_checkpoint(network, start)
        earlier_steps = steps_so_far(start)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in the stubs
    task = LossTermsTask(network, losses)
    progress = account.begin(name, steps=recipe.steps, state_path=config.work / f"{name}.state.pt")
    seconds = train_network(task, recipe, draw_batch=draw_batch, account=progress)
    return network, {
        "network": asdict(shape),
        "steps": recipe.steps,
        "earlier_steps": earlier_steps,
        "minutes": round(seconds / 60, 1),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": f"{platform.machine()}, one core, torch {torch.__version__}, no GPU",
        "settings": {
            **asdict(recipe),
            "training_frames": num_frames,
            "first_seed": config.first_seed,
            "negative_share": config.negative_share,
            **({} if name == "face" else _shares(config)),
            "continued": config.start_from is not None,
        },
    }


def _shares(config: TrainPerceptionConfig) -> dict[str, float]:
    return {"improvised_share": config.improvised_share, "interacting_share": config.interacting_share}


_TRAIN: Mapping[Network, Callable[[TrainPerceptionConfig, NetworksAccount], _Trained]] = {
    "figure": _train_figure,
    "object": _train_object,
    "face": _train_face,
}
