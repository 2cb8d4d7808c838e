"""Initial weights of a training run: random, those of another run, or published ones."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import nn

from jobs.training.config import TrainConfig
from jobs.training.model import ModelConfig
from jobs.training.origins import STARTED_FROM, recorded_origins
from jobs.training.run_files import weights_file
from models.animation.system import Model
from models.appearance.encoders import FrozenEncoders
from models.common.checkpoint import load_checkpoint, read_tensors
from models.common.digest import CheckpointError
from models.common.memory import channels_last
from models.common.safetensors_file import read_metadata
from models.systems import SYSTEMS
from models.training.batch import SampleBatch
from models.training.trainer import TrainingTask
from models.weights.entry import Hub, Weights
from models.weights.resolve import find, ships
from stages.io.storage import Storage

logger = logging.getLogger(__name__)


def new_task(
    config: TrainConfig, *, start_from: str | None, device: torch.device
) -> tuple[TrainingTask[SampleBatch], FrozenEncoders]:
    """Training task and encoders, with the initial weights of `starting_network`.

    Raises:
        CheckpointError: weights are absent or of another network.
    """
    torch.manual_seed(config.recipe.seed)
    network = starting_network(config.model, start_from)
    channels_last(network)
    encoders = config.model.load_encoders()
    keep_bytes = int(config.keep_encodings_gib * 2**30)
    return config.model.task(network, config.recipe, encoders, device=device, keep_bytes=keep_bytes), encoders


def runs_of(start_from: str | None, model: ModelConfig) -> list[dict[str, Any]]:
    """Records of the runs that trained the weights of `start_from`, oldest first; empty for weights without records."""
    if start_from is None or (location := own_weights(start_from, model)) is None:
        return []
    storage, name = location
    try:
        with storage.fetched(name) as path:
            runs: list[dict[str, Any]] = read_metadata(path).get("runs", [])  # written by `run_record`
    except FileNotFoundError:
        raise CheckpointError(f"no checkpoint at {start_from}") from None
    # The checkpoints of the project were trained from nothing else, before runs recorded it.
    return [{STARTED_FROM: [], **run} for run in runs] if ships(Path(start_from)) else runs


def weights_behind(start_from: str | None, model: ModelConfig) -> list[Weights]:
    """Published weights that a run reads, and those that the weights of `start_from` were trained from."""
    weights = [*model.model.encoders.weights, *published_weights(start_from, model)]
    if start_from is not None and own_weights(start_from, model) is not None:
        weights += recorded_origins(runs_of(start_from, model), start_from)
    return weights


def own_weights(start_from: str, model: ModelConfig) -> tuple[Storage, str] | None:
    """Storage and file name of the weights of a run; None for a folder with published files or base models.

    Raises:
        CheckpointError: `start_from` is neither.
    """
    if (location := weights_file(start_from)) is not None:
        return location
    if model.partial_start and published_model(start_from) is not None:
        return None
    published_file = _published_file(model)
    if published_file is None:
        raise CheckpointError(
            f"{start_from} is no run with a checkpoint; give a .safetensors file or the --out of a run"
        )
    if Storage(start_from).exists(published_file) or base_models(start_from, model):
        return None
    base = model.model.variant.base
    raise CheckpointError(
        f"{start_from} is no run with a checkpoint, and holds no {published_file}; give a .safetensors "
        "file, the --out of a run, or a folder of published files"
        + (f", or of weights that has {', '.join(weights.name for weights in base)}" if base else "")
    )


def base_models(start_from: str, model: ModelConfig) -> tuple[Weights, ...]:
    """Base models that training begins from (`Variant.base`) if `start_from` is a folder of weights with any of them;
    else none.
    """
    base, storage = model.model.variant.base, Storage(start_from)
    files = (f"{weights.repository}/{file.name}" for weights in base for file in weights.files)
    return base if any(storage.exists(name) for name in files) else ()


def starting_network(model: ModelConfig, start_from: str | None) -> nn.Module:
    """A network with random weights, or with those of `start_from`.

    `start_from`: a `.safetensors` file, the `--out` of another run (its last checkpoint), a folder with published
    files (with `partial_start`, those of any model), or a folder of weights with the base models.

    Raises:
        CheckpointError: `start_from` is none of these, or has weights of another network (with `partial_start`: weights
            that share no tensor with this network), or lacks a base model.
    """
    if start_from is None:
        return model.model.new_network()
    if (where := own_weights(start_from, model)) is None:
        if base := base_models(start_from, model):
            return _network_of_base(model.model, base, start_from)
        other = published_model(start_from) if model.partial_start else None
        if other is None:
            return _published_network(model.model, start_from)
        network = model.model.new_network()
        _load_matching(network, _published_network(other, start_from).state_dict(), start_from)
        return network
    storage, name = where
    network = model.model.new_network()
    try:
        with storage.fetched(name) as path:
            if model.partial_start:
                _load_matching(network, read_tensors(path), str(path))
            else:
                load_checkpoint(network, path)
    except FileNotFoundError:
        raise CheckpointError(f"no checkpoint at {start_from}") from None
    return network


def published_weights(start_from: str | None, model: ModelConfig) -> list[Weights]:
    """Published weights that `start_from` names.

    With `partial_start`, several models may have files of the same names: those of which the folder bears the
    publisher's name, else all.

    Raises:
        CheckpointError: `start_from` holds no weights.
        MissingWeightsError: it holds some base models, and others are in no cache either.
    """
    if start_from is None or own_weights(start_from, model) is not None:
        return []
    if base := base_models(start_from, model):
        return [find(weights, Path(start_from)).weights for weights in base]
    if not model.partial_start:
        return [model.model.variant.weights]
    found = [one.variant.weights for one in published_models(start_from)]
    return [weights for weights in found if f"/{weights.repository}" in start_from] or found


def published_model(folder: str) -> Model | None:
    """The first of `published_models`; None for none."""
    return next(published_models(folder), None)


def published_models(folder: str) -> Iterator[Model]:
    """Published models of which a folder holds all files."""
    storage = Storage(folder)
    for system in SYSTEMS.values():
        for name, variant in system.variants.items():
            if variant.weights.hub in (Hub.PACKAGE, Hub.TRAINING):
                continue
            if all(storage.exists(name) for name in _names_in_folder(variant.weights)):
                yield system.model(name)


def _published_network(model: Model, folder: str) -> nn.Module:
    """A network with the publisher's weights from a folder."""
    names = _names_in_folder(model.variant.weights)
    path = Path(folder) / names[0] if len(names) == 1 else Path(folder)
    network: nn.Module = model.system.implementation().load_published(path, model.variant.config)
    return network


def _network_of_base(model: Model, base: Sequence[Weights], folder: str) -> nn.Module:
    """A network at the start of training, from base models in a folder of weights or in the caches."""
    found = [find(weights, Path(folder)) for weights in base]
    for weights in found:
        weights.verify()
    paths = {one.weights.name: one.path for one in found}
    network: nn.Module = model.system.implementation().load_base(paths, model.variant.config)
    return network


def _published_file(model: ModelConfig) -> str | None:
    """Name of the first published weights file, which identifies a folder of them; None for embedded models."""
    variant = model.model.variant
    return None if variant.ships else _names_in_folder(variant.weights)[0]


def _names_in_folder(weights: Weights) -> list[str]:
    """Names of published files in the innermost folder that holds all of them, as networks are loaded from it."""
    files = [PurePosixPath(file.name) for file in weights.files]
    folder = os.path.commonpath([file.parent for file in files])
    return [str(file.relative_to(folder)) for file in files]


def _load_matching(network: nn.Module, others: Mapping[str, torch.Tensor], where: str) -> None:
    """Load the tensors of another network that fit this one. Raises CheckpointError if there are none."""
    own = network.state_dict()
    tensors = {key: _with_channels(value, own[key]) for key, value in others.items() if key in own}
    matching = {key: value for key, value in tensors.items() if value is not None}
    if not matching:
        raise CheckpointError(f"{where} has no tensor with the name and shape of one of {type(network).__name__}")
    logger.warning("%d of %d tensors are loaded from %s, the others are random", len(matching), len(own), where)
    network.load_state_dict({**own, **matching})


def _with_channels(tensor: torch.Tensor, own: torch.Tensor) -> torch.Tensor | None:
    """A tensor in the shape of `own`: a convolution with another number of input channels takes the first ones, and
    zeros for the rest. None where the shapes differ otherwise.
    """
    if tensor.shape == own.shape:
        return tensor
    if tensor.ndim != 4 or own.ndim != 4 or (*tensor.shape[:1], *tensor.shape[2:]) != (*own.shape[:1], *own.shape[2:]):
        return None
    channels = min(tensor.shape[1], own.shape[1])
    resized = torch.zeros_like(own, dtype=tensor.dtype)
    resized[:, :channels] = tensor[:, :channels]
    return resized
