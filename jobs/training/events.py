"""Events that the first worker of a training run reports to the driver, which writes them to MLflow and the console."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

SAMPLES_WITHOUT_FACE = "samples_without_face"
"""Metric: samples so far, of the first worker, that read a face and show none in any frame. Left out if there are
none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """Start of training. `step`: number of completed steps. `num_trainable`, `num_all`: numbers of parameters."""

    step: int
    num_trainable: int
    num_all: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PassedOver:
    """Damaged checkpoints after step `step`, from which training continues. `damage`: messages, newest first."""

    step: int
    damage: Sequence[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Metrics after step `step`, averaged since the previous event, except for `SAMPLES_WITHOUT_FACE`."""

    step: int
    metrics: Mapping[str, float]

    def line(self, steps: int) -> str:
        """Line of the console, of a run of `steps` steps."""
        metrics = self.metrics
        line = (
            f"  step {self.step} of {steps}: loss {metrics['loss']:.4f}, "
            f"{metrics['samples_per_second']:.2f} samples/s, waiting for data {metrics['data_wait_share']:.1%}"
        )
        without = metrics.get(SAMPLES_WITHOUT_FACE)
        return line if without is None else f"{line}, {without:.0f} samples without a face"


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """A saved checkpoint. `weights`: name of the weights file in the run's storage."""

    step: int
    weights: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A sample video or picture. `name`: name of the file in the run's storage."""

    step: int
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """Means of the measures over the held-out clips (`jobs.training.heldout`), with the weights of step `step`."""

    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Diverged:
    """The loss diverged and the run stopped. `message` names the step."""

    message: str


Event = Started | PassedOver | Progress | Saved | Sample | Measured | Diverged
Report = Callable[[Event], None]
