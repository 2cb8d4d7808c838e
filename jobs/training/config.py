"""Recipes of training runs: what a person writes, over defaults that go with the model's size and the stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from jobs import config as configuration
from jobs.config import ConfigError
from models.animate_anyone.config import CONFIGS, AnimateAnyoneConfig
from models.training.parallel import Strategy
from models.training.recipe import TrainingRecipe
from pipelines.training_data import TrainingDataConfig

Size = Literal["embedded", "moore", "musepose"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """Which network is trained.

    Args:
        size: its shape, and which VAE and image encoder it reads.
        network: another shape, in place of that of `size`.
        appearance: folder of the VAE and the image encoder (`vae.safetensors`, `image_encoder.safetensors`); None:
            those that ship.
    """

    size: Size = "embedded"
    network: AnimateAnyoneConfig | None = None
    appearance: str | None = None

    def __post_init__(self) -> None:
        if self.size not in CONFIGS:
            raise ValueError(f"unknown size '{self.size}', expected one of {', '.join(CONFIGS)}")

    @property
    def shape(self) -> AnimateAnyoneConfig:
        """The network's."""
        return self.network or CONFIGS[self.size]


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
    """Everything a recipe file may say.

    Args:
        model: which network.
        recipe: how it learns.
        data: how samples are made.
        keep_encodings_gib: memory of each worker for latents and image tokens of pictures, each then computed once.
        checkpoints, sample_videos: what is written while it learns.
        log_every_steps: one point of the curves in MLflow, the mean over so many steps.
        workers: who trains.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
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


_RELEASED: Mapping[int, Mapping[str, Any]] = {
    # As the public training code of Moore-AnimateAnyone has them.
    1: {
        "steps": 30_000,
        "batch_size": 4,
        "precision": "bfloat16",
        "gradient_checkpointing": True,
        "sampling": {"height_px": 768, "width_px": 768, "num_frames": 1, "sample_margin": 30, "min_crop_share": 0.9},
    },
    2: {
        "steps": 10_000,
        "batch_size": 4,
        "precision": "bfloat16",
        "gradient_checkpointing": True,
        "sampling": {"height_px": 512, "width_px": 512, "num_frames": 24, "frame_step": 4, "sample_margin": 0},
    },
}
_EMBEDDED: Mapping[int, Mapping[str, Any]] = {
    1: {
        "steps": 15_000,
        "batch_size": 4,
        "ema_decay": 0.999,
        "precision": "bfloat16",
        "optimizer": {"learning_rate": 6e-4, "warmup_steps": 300, "decay": "cosine"},
        "loss": {"noise_offset": 0.0, "condition_dropout": 0.05},
        # Frames that share a reference share its pass through the ReferenceNet.
        "sampling": {
            "height_px": 128,
            "width_px": 128,
            "num_frames": 4,
            "frame_step": 3,
            "sample_margin": 1,
            "mirror_share": 0.5,
        },
    },
    2: {
        "steps": 4_000,
        "batch_size": 2,
        "ema_decay": 0.998,
        "precision": "bfloat16",
        "optimizer": {"learning_rate": 4e-4, "warmup_steps": 100, "decay": "cosine"},
        "loss": {"noise_offset": 0.0, "condition_dropout": 0.05},
        "sampling": {"height_px": 128, "width_px": 128, "num_frames": 16, "sample_margin": 0, "mirror_share": 0.5},
    },
}


def load(path: Path | None, assignments: Sequence[str] = (), *, stage: int | None = None) -> TrainConfig:
    """The recipe at `path` (YAML, all of it optional) with `key.key=value` assignments, over the defaults of the
    model's size and the stage. `stage` wins over what the recipe says.

    Raises:
        ConfigError: the file is missing or no YAML mapping, a key is unknown, a value has the wrong type or range.
    """
    values = configuration.read(path, assignments, TrainConfig)
    recipe, model = values.setdefault("recipe", {}), values.setdefault("model", {})
    if not isinstance(recipe, dict) or not isinstance(model, dict):
        raise ConfigError("recipe and model: expected mappings")
    if stage is not None:
        recipe["stage"] = stage
    by_stage = _EMBEDDED if model.get("size", "embedded") == "embedded" else _RELEASED
    defaults = by_stage.get(recipe.get("stage", 1), {})
    return configuration.validated({**values, "recipe": _over(defaults, recipe)}, TrainConfig)


def _over(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` where they say something, `defaults` elsewhere."""
    merged = {**defaults, **values}
    for key in defaults.keys() & values.keys():
        if isinstance(defaults[key], Mapping) and isinstance(values[key], Mapping):
            merged[key] = _over(defaults[key], values[key])
    return merged
