"""Tables of an evaluation: one per model and setting, over all its animations."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.engine.ledger import Ledger


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredValue:
    """A line of a table: a measure over the animations of a model.

    Args:
        name: key in `MEASURES` or `SET_MEASURES`.
        n: number of animations with a value; of a Fréchet distance, the smaller number of features of the two sides.
        value: mean over these animations, or the Fréchet distance; None if it cannot be computed, see `note`.
        ci_low, ci_high: 95% bootstrap interval of the mean over animations; None for a Fréchet distance and for fewer
            than two animations.
        truth_value: mean of the same measure of the true frames, for measures that have it.
        note: a reservation about the value, such as a singular covariance; empty if there is none.
    """

    name: str
    n: int
    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    truth_value: float | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelTable:
    """The table of one model in one setting.

    `values`: one line per measure that at least one animation has, in the order of `MEASURES`, then `SET_MEASURES`.
    """

    model: str
    setting: str
    ok: int
    rejected: int
    failed: int
    values: tuple[MeasuredValue, ...]


def evaluation_tables(ledger: Ledger) -> tuple[ModelTable, ...]:
    """Tables of all models and settings of a compacted dataset of `evaluate`, sorted by model and setting."""
    raise NotImplementedError
