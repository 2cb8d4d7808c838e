"""What is Animate Anyone's own in a training run: which networks there are, where they begin, videos to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from jobs.training.checkpoints import CheckpointStore
from jobs.training.config import ModelConfig, TrainConfig
from models.animate_anyone.animator import AnimateAnyoneAnimator
from models.animate_anyone.network import AnimateAnyone
from models.animate_anyone.training import AnimateAnyoneTask
from models.animate_anyone.weights import PUBLISHED_FILES, load_published
from models.appearance.image_encoder import ImageEncoder, embedded_image_encoder
from models.appearance.vae import CHECKPOINTS, Vae, embedded_vae
from models.common.animator import AnimationInputs
from models.common.checkpoint import CheckpointError, load_checkpoint, read_metadata
from models.training.batch import SampleBatch
from models.video.encode import write_h264
from models.video.side_by_side import side_by_side
from pipelines.storage import Storage

FPS = 12.0
PANEL_PX = 256


def new_task(
    config: TrainConfig, *, start_from: str | None, device: torch.device
) -> tuple[AnimateAnyoneTask, Vae, ImageEncoder]:
    """What is trained, with the weights of `start_from` (see `starting_network`) or random ones drawn from the seed.

    Raises:
        CheckpointError: weights are absent, or of another network.
    """
    torch.manual_seed(config.recipe.seed)
    network = starting_network(config.model, start_from)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's own overloads miss it
    vae, image_encoder = appearance(config.model)
    task = AnimateAnyoneTask(
        network,
        config.recipe,
        vae=vae,
        image_encoder=image_encoder,
        device=device,
        keep_bytes=int(config.keep_encodings_gib * 2**30),
    )
    return task, vae, image_encoder


def runs_of(start_from: str | None) -> list[dict[str, Any]]:
    """The runs that made the weights of `start_from`, oldest first; none where it does not tell."""
    if start_from is None or (where := own_weights(start_from)) is None:
        return []
    storage, name = where
    try:
        with storage.fetched(name) as path:
            runs: list[dict[str, Any]] = read_metadata(path).get("runs", [])  # type: ignore[assignment]  # as `run_record` made it
    except FileNotFoundError:
        raise CheckpointError(f"no checkpoint at {start_from}") from None
    return runs


def own_weights(start_from: str) -> tuple[Storage, str] | None:
    """Where the weights lie, and under which name; None for a folder with the published files.

    Raises:
        CheckpointError: it is none of these.
    """
    if start_from.endswith(".safetensors"):
        folder, _, name = start_from.rpartition("/")
        return Storage(folder or "."), name
    storage = Storage(start_from)
    if (latest := CheckpointStore(storage).latest()) is not None:
        return storage, latest.weights
    if storage.exists(PUBLISHED_FILES[0]):
        return None
    raise CheckpointError(
        f"{start_from} is no run with a checkpoint, and holds no {PUBLISHED_FILES[0]}; give a .safetensors "
        "file, the --out of a run, or a folder of published files"
    )


def starting_network(model: ModelConfig, start_from: str | None) -> AnimateAnyone:
    """A network with random weights, or with those of `start_from`: a `.safetensors` file, the `--out` of another run
    (its last checkpoint), or a folder with the published files.

    Raises:
        CheckpointError: there is none of these, or it is of another network.
    """
    if start_from is None:
        return AnimateAnyone(model.shape)
    if (where := own_weights(start_from)) is None:
        return load_published(Path(start_from), model.shape)
    storage, name = where
    network = AnimateAnyone(model.shape)
    try:
        with storage.fetched(name) as path:
            load_checkpoint(network, path)
    except FileNotFoundError:
        raise CheckpointError(f"no checkpoint at {start_from}") from None
    return network


def appearance(model: ModelConfig) -> tuple[Vae, ImageEncoder]:
    """The frozen networks that a model reads pictures with."""
    folder = CHECKPOINTS if model.appearance is None else Path(model.appearance)
    return embedded_vae(folder), embedded_image_encoder(folder)


class SampleVideos:
    """Videos of what weights can do: the first frame of each clip, moved by the clip's own skeletons.

    Args:
        clips: each (1, …), see `SampleMaker.beginning`.
    """

    def __init__(
        self, model: ModelConfig, clips: list[SampleBatch], vae: Vae, image_encoder: ImageEncoder, device: torch.device
    ) -> None:
        # A network of its own: the one that learns may be spread over workers.
        self._animator = AnimateAnyoneAnimator(
            "training",
            network=AnimateAnyone(model.shape),
            vae=vae,
            image_encoder=image_encoder,
            device=device,
        )
        self._clips = clips

    def write(self, weights: dict[str, Tensor], storage: Storage, *, step: int) -> list[str]:
        """Publish one video for each clip (reference, skeletons, result, truth); returns their names."""
        self._animator.network.load_state_dict(weights)
        names = []
        for index, clip in enumerate(self._clips):
            reference, poses, truth = clip.references_BHWC[0], clip.poses_BFHWC[0], clip.targets_BFHWC[0]
            made = self._animator.animate(
                AnimationInputs(
                    reference_HWC=reference,
                    pose_THWC=poses,
                    seed=index,
                    reference_pose_HWC=clip.reference_poses_BHWC[0],
                )
            )
            panels = [np.broadcast_to(reference, truth.shape), poses, made.frames_THWC, truth]
            name = f"samples/step-{step:08d}-{index}.mp4"
            with storage.staged(name) as path:
                write_h264(path, side_by_side(panels, height_px=PANEL_PX), fps=FPS)
            names.append(name)
        return names
