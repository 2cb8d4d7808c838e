"""Recipe files of training runs, merged over the defaults of the model and the stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from jobs.engine import config as configuration
from jobs.engine.config import ConfigError
from jobs.engine.licences import LicenceCheck
from jobs.recipes.table import RECIPES
from jobs.training.model import ModelConfig
from jobs.training.network_config import merged_over, network_config
from models.systems import find_model
from models.training.parallel import Strategy
from models.training.recipe import TrainingRecipe
from pipelines.training.data_config import TrainingDataConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointConfig:
    """`every_steps`: interval of checkpoints, besides the last. `keep`: number of checkpoints kept."""

    every_steps: int = 500
    keep: int = 3

    def __post_init__(self) -> None:
        if min(self.every_steps, self.keep) < 1:
            raise ValueError(f"expected every_steps and keep >= 1, got {self.every_steps} and {self.keep}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleVideoConfig:
    """Sample videos during training, with the weights that a checkpoint would have.

    Args:
        every_steps: interval; 0: never.
        num_videos: number of clips; the first frame of each is animated by the clip's own skeletons.
        num_frames: maximum number of frames of each video.
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
class HeldoutConfig:
    """Measures on clips that the run leaves out, with the weights that a checkpoint would have.

    Args:
        every_steps: interval; 0: never, and no clip is left out.
        num_clips: number of clips that are measured. All clips of their videos are left out of training.
        num_frames: maximum number of frames of each clip.
    """

    every_steps: int = 0
    num_clips: int = 4
    num_frames: int = 16

    def __post_init__(self) -> None:
        if self.every_steps < 0 or self.num_clips < 1 or self.num_frames < 2:
            raise ValueError(
                "expected every_steps >= 0, num_clips >= 1 and num_frames >= 2, got "
                f"{self.every_steps}, {self.num_clips} and {self.num_frames}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainWorkersConfig:
    """Ray Train's workers.

    Args:
        num: workers of Ray Train; 0 trains in this process, without Ray.
        strategy: "ddp", or "fsdp" if the network does not fit into the memory of one worker.
        cpus, gpus: resources of each worker.
        threads: compute threads of each worker; None: PyTorch's default.
        max_failures: maximum number of restarts from the last checkpoint.
        wait_for_resources_seconds: maximum wait for nodes of a cluster that has no room for the workers yet.
    """

    num: int = 0
    strategy: Strategy = "ddp"
    cpus: float = 1.0
    gpus: float = 0.0
    threads: int | None = 1
    max_failures: int = 2
    wait_for_resources_seconds: float = 900.0

    def __post_init__(self) -> None:
        if self.cpus <= 0 or min(self.num, self.gpus, self.max_failures, self.wait_for_resources_seconds) < 0:
            raise ValueError(f"workers must not be negative, got {self}")
        if self.strategy not in get_args(Strategy):
            raise ValueError(f"unknown strategy '{self.strategy}', expected one of {', '.join(get_args(Strategy))}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """Content of a recipe file.

    Args:
        model: the model to train.
        recipe: optimization, loss and sampling.
        data: how samples are computed.
        keep_encodings_gib: cache of each worker for latents and image embeddings.
        checkpoints, sample_videos, heldout: outputs during training.
        log_every_steps: interval of the points of MLflow's curves, each the mean of the steps in it.
        workers: Ray Train's workers.
        licence_check: "commercial" refuses to start from weights that may not be used commercially; "any": starts from
            all.
    """

    model: ModelConfig
    recipe: TrainingRecipe = field(default_factory=TrainingRecipe)
    data: TrainingDataConfig = field(default_factory=TrainingDataConfig)
    keep_encodings_gib: float = 1.0
    checkpoints: CheckpointConfig = field(default_factory=CheckpointConfig)
    sample_videos: SampleVideoConfig = field(default_factory=SampleVideoConfig)
    heldout: HeldoutConfig = field(default_factory=HeldoutConfig)
    log_every_steps: int = 20
    workers: TrainWorkersConfig = field(default_factory=TrainWorkersConfig)
    licence_check: LicenceCheck = "any"

    def __post_init__(self) -> None:
        if self.log_every_steps < 1 or self.keep_encodings_gib < 0:
            raise ValueError(
                "expected log_every_steps >= 1 and keep_encodings_gib >= 0, got "
                f"{self.log_every_steps} and {self.keep_encodings_gib}"
            )
        self.recipe.micro_batch(max(self.workers.num, 1))


def load(name: str, path: Path | None, assignments: Sequence[str] = (), *, stage: int | None = None) -> TrainConfig:
    """Load a recipe and merge it over the defaults of the model and the stage.

    Args:
        name: name of the model.
        path: recipe file (YAML), in which every key is optional.
        assignments: `key.key=value`, applied over the file.
        stage: overrides the stage of the recipe.

    Raises:
        ConfigError: the file is missing or is not a YAML mapping, a key is unknown, a value has the wrong type or
        range.
        UnknownModelError: no model has this name.
    """
    model = find_model(name)
    values = configuration.read(path, assignments, TrainConfig)
    recipe, given = values.setdefault("recipe", {}), values.setdefault("model", {})
    if not isinstance(recipe, dict) or not isinstance(given, dict):
        raise ConfigError("recipe and model: expected mappings")
    if given.setdefault("name", model.name) not in (name, model.name):
        raise ConfigError(f"model.name is {given['name']!r}, but the command trains {name}; leave it out")
    given["name"] = model.name
    if stage is not None:
        recipe["stage"] = stage
    network = given.get("network") or {}
    if not isinstance(network, dict):
        raise ConfigError(f"model.network: expected a mapping, got {network!r}")
    given["network"] = network_config(model, network)
    plain = configuration.resolved(given["network"])
    values["recipe"] = merged_over(RECIPES[model.system.name].defaults(recipe.get("stage", 1), plain), recipe)
    return configuration.validated(values, TrainConfig)
