"""What the first worker of a run tells the driver, which alone talks to MLflow and to people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """Start of training. `step`: steps completed before. `num_trainable`, `num_all`: numbers of parameters."""

    step: int
    num_trainable: int
    num_all: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """After step `step`. `metrics`: means since the last of these."""

    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """A checkpoint. `weights`: name of its weights in the run's storage."""

    step: int
    weights: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A video or a picture to look at. `name`: in the run's storage."""

    step: int
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Diverged:
    """The run has stopped. `message` names the step."""

    message: str


Event = Started | Progress | Saved | Sample | Diverged
Tell = Callable[[Event], None]
