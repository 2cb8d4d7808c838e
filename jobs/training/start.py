"""Where a training run begins: with random weights, with those of another run, or with published ones."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from torch import nn

from jobs.training.checkpoints import CheckpointStore
from jobs.training.config import TrainConfig
from jobs.training.model import Frozen, ModelConfig
from models.common.checkpoint import CheckpointError, load_checkpoint, read_metadata, read_tensors
from models.common.memory import channels_last
from models.training.batch import SampleBatch
from models.training.trainer import TrainingTask
from stages.io.storage import Storage

logger = logging.getLogger(__name__)


def new_task(
    config: TrainConfig, *, start_from: str | None, device: torch.device
) -> tuple[TrainingTask[SampleBatch], Frozen]:
    """What is trained, with the weights of `start_from` (see `starting_network`) or random ones drawn from the seed.

    Raises:
        CheckpointError: weights are absent, or of another network.
    """
    torch.manual_seed(config.recipe.seed)
    network = starting_network(config.model, start_from)
    channels_last(network)
    frozen = config.model.frozen()
    keep_bytes = int(config.keep_encodings_gib * 2**30)
    return config.model.task(network, config.recipe, frozen, device=device, keep_bytes=keep_bytes), frozen


def runs_of(start_from: str | None, model: ModelConfig) -> list[dict[str, Any]]:
    """The runs that made the weights of `start_from`, oldest first; none where it does not tell."""
    if start_from is None or (where := own_weights(start_from, model)) is None:
        return []
    storage, name = where
    try:
        with storage.fetched(name) as path:
            runs: list[dict[str, Any]] = read_metadata(path).get("runs", [])  # type: ignore[assignment]  # as `run_record` made it
    except FileNotFoundError:
        raise CheckpointError(f"no checkpoint at {start_from}") from None
    return runs


def run_weights(run: str) -> tuple[Storage, str] | None:
    """Where the weights of a run (its `--out`, or a `.safetensors` file) lie, and under which name; None for a folder
    without a checkpoint.
    """
    if run.endswith(".safetensors"):
        folder, _, name = run.rpartition("/")
        return Storage(folder or "."), name
    storage = Storage(run)
    latest = CheckpointStore(storage).latest()
    return None if latest is None else (storage, latest.weights)


def own_weights(start_from: str, model: ModelConfig) -> tuple[Storage, str] | None:
    """Where the weights lie, and under which name; None for a folder with the published files.

    Raises:
        CheckpointError: it is none of these.
    """
    if (where := run_weights(start_from)) is not None:
        return where
    if model.published_file is None:
        raise CheckpointError(
            f"{start_from} is no run with a checkpoint; give a .safetensors file or the --out of a run"
        )
    if Storage(start_from).exists(model.published_file):
        return None
    raise CheckpointError(
        f"{start_from} is no run with a checkpoint, and holds no {model.published_file}; give a .safetensors "
        "file, the --out of a run, or a folder of published files"
    )


def starting_network(model: ModelConfig, start_from: str | None) -> nn.Module:
    """A network with random weights, or with those of `start_from`: a `.safetensors` file, the `--out` of another run
    (its last checkpoint), or a folder with the published files.

    Raises:
        CheckpointError: there is none of these, or it is of another network (with `start_partly`: and shares nothing
            with this one).
    """
    if start_from is None:
        return model.new_network()
    if (where := own_weights(start_from, model)) is None:
        return model.published_network(Path(start_from))
    storage, name = where
    network = model.new_network()
    try:
        with storage.fetched(name) as path:
            if model.start_partly:
                _take_alike(network, path)
            else:
                load_checkpoint(network, path)
    except FileNotFoundError:
        raise CheckpointError(f"no checkpoint at {start_from}") from None
    return network


def _take_alike(network: nn.Module, path: Path) -> None:
    own = network.state_dict()
    alike = {key: value for key, value in read_tensors(path).items() if key in own and value.shape == own[key].shape}
    if not alike:
        raise CheckpointError(f"{path} has no tensor of the name and shape of one of {type(network).__name__}'s")
    logger.warning("%d of %d tensors are those of %s, the others begin anew", len(alike), len(own), path)
    network.load_state_dict({**own, **alike})
