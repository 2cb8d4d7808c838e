"""Divergence detection before the weights are updated."""

from __future__ import annotations

import math
from collections.abc import Sequence

from models.training.recipe import GuardConfig


class DivergedError(RuntimeError):
    """Non-finite loss or gradient norm, or exploded loss. The weights are those before step `step`."""

    def __init__(self, step: int, reason: str) -> None:
        super().__init__(f"training diverged at step {step}: {reason}")
        self.step = step


def check(step: int, loss: float, grad_norm: float, earlier_losses: Sequence[float], config: GuardConfig) -> None:
    """Check one step for divergence, before the optimizer step.

    Args:
        step: number of the step, 1-based.
        loss, grad_norm: of this step; `grad_norm` before clipping.
        earlier_losses: losses of all steps before it.

    Raises:
        DivergedError: see `GuardConfig`.
    """
    if not math.isfinite(loss):
        raise DivergedError(step, f"the loss is {loss}")
    if not math.isfinite(grad_norm):
        raise DivergedError(step, f"the loss is {loss:.4g}, but the norm of its gradient is {grad_norm}")
    window = config.window
    if len(earlier_losses) < 2 * window:
        return
    first_mean = sum(earlier_losses[:window]) / window
    last_mean = (sum(earlier_losses[len(earlier_losses) - window + 1 :]) + loss) / window
    if last_mean > config.max_ratio * first_mean:
        raise DivergedError(
            step,
            f"the mean loss of the last {window} steps is {last_mean:.4g}, {last_mean / first_mean:.1f} times that of "
            f"the first {window} ({first_mean:.4g})",
        )
