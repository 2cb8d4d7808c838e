"""Recipes of training runs: what a person writes, over defaults that go with the model's size and the stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from jobs.engine import config as configuration
from jobs.engine.config import ConfigError
from jobs.training.model import ModelConfig
from models.training.parallel import Strategy
from models.training.recipe import TrainingRecipe
from pipelines.training.samples import TrainingDataConfig

ConfigT = TypeVar("ConfigT", bound="TrainConfig")


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointConfig:
    """`every_steps`: how often a checkpoint is written, besides at the end. `keep`: the last so many of them."""

    every_steps: int = 500
    keep: int = 3

    def __post_init__(self) -> None:
        if min(self.every_steps, self.keep) < 1:
            raise ValueError(f"expected every_steps and keep >= 1, got {self.every_steps} and {self.keep}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleVideoConfig:
    """Videos made while training, with the weights that a checkpoint would have.

    Args:
        every_steps: how often; 0: never.
        num_videos: each of another clip: its first frame moved by its own skeletons.
        num_frames: of each, at most.
    """

    every_steps: int = 0
    num_videos: int = 2
    num_frames: int = 16

    def __post_init__(self) -> None:
        if self.every_steps < 0 or min(self.num_videos, self.num_frames) < 1:
            raise ValueError(
                "expected every_steps >= 0, num_videos and num_frames >= 1, got "
                f"{self.every_steps}, {self.num_videos} and {self.num_frames}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainWorkersConfig:
    """Who trains.

    Args:
        num: workers of Ray Train; 0 trains in this process, without Ray.
        strategy: "ddp", or "fsdp" where the network does not fit a worker.
        cpus, gpus: of each worker.
        threads: that each computes with on a CPU; None: as many as PyTorch likes.
        max_failures: workers are started again from the last checkpoint so often.
    """

    num: int = 0
    strategy: Strategy = "ddp"
    cpus: float = 1.0
    gpus: float = 0.0
    threads: int | None = 1
    max_failures: int = 2

    def __post_init__(self) -> None:
        if self.num < 0 or self.cpus <= 0 or self.gpus < 0 or self.max_failures < 0:
            raise ValueError(f"workers must not be negative, got {self}")
        if self.strategy not in get_args(Strategy):
            raise ValueError(f"unknown strategy '{self.strategy}', expected one of {', '.join(get_args(Strategy))}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """Everything a recipe file may say; each system has one with a `model` of its own.

    Args:
        model: which network.
        recipe: how it learns.
        data: how samples are made.
        keep_encodings_gib: memory of each worker for latents and image tokens of pictures, each then computed once.
        checkpoints, sample_videos: what is written while it learns.
        log_every_steps: one point of the curves in MLflow, the mean over so many steps.
        workers: who trains.
    """

    model: ModelConfig
    recipe: TrainingRecipe = field(default_factory=TrainingRecipe)
    data: TrainingDataConfig = field(default_factory=TrainingDataConfig)
    keep_encodings_gib: float = 1.0
    checkpoints: CheckpointConfig = field(default_factory=CheckpointConfig)
    sample_videos: SampleVideoConfig = field(default_factory=SampleVideoConfig)
    log_every_steps: int = 20
    workers: TrainWorkersConfig = field(default_factory=TrainWorkersConfig)

    def __post_init__(self) -> None:
        if self.log_every_steps < 1 or self.keep_encodings_gib < 0:
            raise ValueError(
                "expected log_every_steps >= 1 and keep_encodings_gib >= 0, got "
                f"{self.log_every_steps} and {self.keep_encodings_gib}"
            )
        self.recipe.micro_batch(max(self.workers.num, 1))


def load(
    kind: type[ConfigT], path: Path | None, assignments: Sequence[str] = (), *, stage: int | None = None
) -> ConfigT:
    """The recipe at `path` (YAML, all of it optional) with `key.key=value` assignments, over the defaults of the
    model's size and the stage. `kind`: the system's `TrainConfig`. `stage` wins over what the recipe says.

    Raises:
        ConfigError: the file is missing or no YAML mapping, a key is unknown, a value has the wrong type or range.
    """
    values = configuration.read(path, assignments, kind)
    recipe, model = values.setdefault("recipe", {}), values.setdefault("model", {})
    if not isinstance(recipe, dict) or not isinstance(model, dict):
        raise ConfigError("recipe and model: expected mappings")
    if stage is not None:
        recipe["stage"] = stage
    system: type[ModelConfig] = get_type_hints(kind)["model"]
    size = model.get("size", "embedded")
    if size in system.sizes:
        shape = configuration.resolved(system.sizes[size])
        if isinstance(model.get("network"), dict):
            shape = model["network"] = _over(shape, model["network"])
        defaults = system.recipe_defaults(size=size, stage=recipe.get("stage", 1), shape=shape)
        values["recipe"] = _over(defaults, recipe)
    return configuration.validated(values, kind)


def _over(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` where they say something, `defaults` elsewhere."""
    merged = {**defaults, **values}
    for key in defaults.keys() & values.keys():
        if isinstance(defaults[key], Mapping) and isinstance(values[key], Mapping):
            merged[key] = _over(defaults[key], values[key])
    return merged
