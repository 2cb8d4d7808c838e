"""Account of a training command's last step, which it prints when it ends: finished, interrupted or failed."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from jobs.engine.console import duration

logger = logging.getLogger(__name__)

SAME_COMMAND = "the same command continues"


def steps_done(step: int, steps: int, figures: Mapping[str, str]) -> str:
    """`STEP of STEPS steps`, and the last value of each figure."""
    return ", ".join([f"{step} of {steps} steps", *(f"{name} {value}" for name, value in figures.items())])


@dataclass(kw_only=True, slots=True)
class NetworkAccount:
    """Progress of one network. `losses`: its last loss terms. `saved_step`: step of the state in `state_path`."""

    name: str
    steps: int
    state_path: Path
    step: int = 0
    losses: Mapping[str, float] = field(default_factory=dict)
    saved_step: int = 0

    def line(self) -> str:
        """Steps done, losses, and the state from which an unfinished network continues."""
        done = steps_done(self.step, self.steps, {name: f"{value:.4f}" for name, value in self.losses.items()})
        state = f"state of step {self.saved_step}: {self.state_path}" if self.saved_step else "no state saved yet"
        return f"{self.name} {done}" + ("" if self.step == self.steps else f" ({state})")


class NetworksAccount:
    """Account of a command that trains several networks. As a context manager, it logs one line at the end."""

    def __init__(self, command: str, out: Path) -> None:
        self._command, self._out = command, out
        self._began = time.monotonic()
        self.networks: dict[str, NetworkAccount] = {}

    def begin(self, name: str, *, steps: int, state_path: Path) -> NetworkAccount:
        """Add a network."""
        self.networks[name] = NetworkAccount(name=name, steps=steps, state_path=state_path)
        return self.networks[name]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        parts = [each.line() for each in self.networks.values()]
        if kind is None:
            parts.append(f"checkpoints: {self._out}")
        elif issubclass(kind, KeyboardInterrupt):
            parts.append(SAME_COMMAND)
        elif not parts:  # wrong usage: nothing was begun
            return
        logger.info("train %s: %s; %s", self._command, "; ".join(parts), duration(time.monotonic() - self._began))
