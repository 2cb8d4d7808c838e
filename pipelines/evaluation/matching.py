"""Pairs of animations of two datasets `results` that differ in nothing but what made them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

import duckdb

from pipelines.engine.ledger import Ledger
from pipelines.engine.tables import column_names
from stages.outcome import Status

_REQUIRED = ("request_id", "model", "video_uri", "reference_fingerprint", "driving_fingerprint")
_PARTS = ("start_seconds", "duration_seconds", "clip.start_seconds", "clip.num_frames")
"""Columns that select a part of the driving video."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Animation:
    """One animation: its data file in the dataset, id, model, and video, relative to the dataset."""

    data_name: str
    request_id: str
    model: str
    video_uri: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Matching:
    """Pairs (of A, of B), sorted by the ids of A, and the numbers of animations without a counterpart."""

    pairs: tuple[tuple[Animation, Animation], ...]
    unmatched_a: int
    unmatched_b: int


def match_animations(a: Ledger, b: Ledger, *, models: tuple[str, str] | None = None) -> Matching:
    """Match animations of the same reference picture and the same part of the same driving video, by content.

    Ids play no part. Animations without status ok are left out.

    Args:
        a, b: datasets of `animate`; may be the same.
        models: only animations of the first model in A and of the second in B.

    Raises:
        ValueError: a dataset holds no animations, or several of the same picture and driving video.
    """
    with duckdb.connect() as connection:
        for side, ledger, model in zip("ab", (a, b), models or (None, None), strict=True):
            _register(connection, side, ledger, model)
        rows = connection.execute(
            "SELECT a.data_name, a.request_id, a.model, a.video_uri, b.data_name, b.request_id, b.model, b.video_uri "
            "FROM a JOIN b USING (key) ORDER BY a.request_id"
        ).fetchall()
        totals = [connection.execute(f"SELECT count(*) FROM {side}").fetchall()[0][0] for side in "ab"]  # noqa: S608
    pairs = tuple((_animation(row[:4]), _animation(row[4:])) for row in rows)
    return Matching(pairs=pairs, unmatched_a=totals[0] - len(pairs), unmatched_b=totals[1] - len(pairs))


def _animation(values: tuple[str, ...]) -> Animation:
    name, request_id, model, video_uri = values
    return Animation(
        data_name=PurePosixPath(name).name, request_id=request_id, model=str(model or ""), video_uri=video_uri
    )


def _register(connection: duckdb.DuckDBPyConnection, side: str, ledger: Ledger, model: str | None) -> None:
    """Create the table `side` of the animations of a dataset, with the column `key` of what they have in common."""
    relation = ledger.relation(connection)
    present = column_names(connection, relation) if relation else set()
    if missing := [name for name in _REQUIRED if name not in present]:
        raise ValueError(
            f"{ledger.storage.url} has no column {missing[0]}; expected a dataset that `zoetrope animate` wrote"
        )
    parts = [name for name in _PARTS if name.split(".")[0] in present]
    key = ", ".join(["reference_fingerprint", "driving_fingerprint", *parts])
    of_model = "" if model is None else " AND model = ?"
    connection.execute(
        f"CREATE TEMP TABLE {side} AS SELECT filename AS data_name, request_id, model, video_uri, "  # noqa: S608
        f"to_json([{', '.join(f'CAST({name} AS VARCHAR)' for name in key.split(', '))}]) AS key "
        f"FROM {relation} WHERE status = ?{of_model}",
        [Status.OK] if model is None else [Status.OK, model],
    )
    if not connection.execute(f"SELECT count(*) FROM {side}").fetchall()[0][0]:  # noqa: S608
        raise ValueError(f"{ledger.storage.url} holds no animations{'' if model is None else f' of {model}'}")
    several = connection.execute(
        f"SELECT list(request_id ORDER BY request_id) FROM {side} GROUP BY key HAVING count(*) > 1 ORDER BY 1"  # noqa: S608
    ).fetchall()
    if several:
        first, second, *_ = several[0][0]
        raise ValueError(
            f"{ledger.storage.url} holds several animations of the same picture and driving video, such as '{first}' "
            f"and '{second}'; expected one of each: choose the models with --models, or animate with one seed and "
            "setting"
        )
