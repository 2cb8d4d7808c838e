"""NaN and infinity from a network, which would become black pictures and empty masks. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


class NotFiniteError(ArithmeticError):
    """A network computed NaN or infinity. The message says which one, and where."""


def check_finite(values: Tensor | NDArray[Any], of: str) -> None:
    """Raise NotFiniteError unless all values are finite.

    `of`: what they are and which network computed them, for the message.
    """
    if _sum_is_finite(values):
        return
    finite = np.isfinite(values) if isinstance(values, np.ndarray) else values.isfinite()
    if not bool(finite.all()):
        size = int(np.prod(finite.shape))
        raise NotFiniteError(f"{of}: {size - int(finite.sum())} of {size} values are NaN or infinite")


def _sum_is_finite(values: Tensor | NDArray[Any]) -> bool:
    """Whether the sum is finite: then all values are. Takes one pass without a copy; overflow only costs a second."""
    if isinstance(values, np.ndarray):
        with np.errstate(invalid="ignore", over="ignore"):
            return bool(np.isfinite(values.sum(dtype=np.float64)))
    return bool(values.float().sum().isfinite())
