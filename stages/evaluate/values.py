"""Values of measures as columns."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def mean_or_none(values: NDArray[np.floating]) -> float | None:
    """Mean of the values that are not NaN; None if there are none."""
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    return float(known.mean()) if len(known) else None


def value_or_none(value: float | None) -> float | None:
    """The value; None in place of NaN."""
    return None if value is None or math.isnan(value) else float(value)
