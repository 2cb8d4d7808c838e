"""Published weights that trained weights come from, by the records of their runs. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from models.catalogue import entry
from models.weights.entry import Weights, local_file
from models.weights.licence import NOT_RECORDED
from models.weights.resolve import ships

STARTED_FROM = "started_from"
"""Key of a run's record: names of the published weights that it started from."""


def recorded_origins(runs: Sequence[Mapping[str, Any]], place: str) -> tuple[Weights, ...]:
    """Published weights that the runs of the weights at `place` started from.

    Where the records do not say, as those of earlier versions: the weights at `place` themselves, with a licence that
    is not known.
    """
    if ships(Path(place)):
        return ()
    unknown = (replace(local_file(place, PurePath(place)), licence=NOT_RECORDED),)
    try:
        return tuple(entry(name) for run in runs for name in run[STARTED_FROM]) if runs else unknown
    except (KeyError, TypeError, ValueError):
        return unknown
