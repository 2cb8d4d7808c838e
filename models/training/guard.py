"""Notices a run that has gone wrong before its weights have."""

from __future__ import annotations

import math
from collections.abc import Sequence

from models.training.recipe import GuardConfig


class DivergedError(RuntimeError):
    """The loss or the gradient is not finite, or the loss has exploded. Nothing was learnt from that step."""

    def __init__(self, step: int, what: str) -> None:
        super().__init__(f"training diverged at step {step}: {what}")
        self.step = step


def check(step: int, loss: float, grad_norm: float, earlier: Sequence[float], config: GuardConfig) -> None:
    """To be called before the weights change.

    `step`: of this loss, 1 first. `earlier`: the losses of all steps before it.

    Raises:
        DivergedError: see `GuardConfig`.
    """
    if not math.isfinite(loss):
        raise DivergedError(step, f"the loss is {loss}")
    if not math.isfinite(grad_norm):
        raise DivergedError(step, f"the loss is {loss:.4g}, but the norm of its gradient is {grad_norm}")
    window = config.window
    if len(earlier) < 2 * window:
        return
    start = sum(earlier[:window]) / window
    now = (sum(earlier[len(earlier) - window + 1 :]) + loss) / window
    if now > config.max_ratio * start:
        raise DivergedError(
            step,
            f"the mean loss of the last {window} steps is {now:.4g}, {now / start:.1f} times that of the first "
            f"{window} ({start:.4g})",
        )
