"""`zoetrope pair`: pictures × clips → a table of requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from jobs.engine.console import Console
from jobs.engine.spec import JobResult
from jobs.training.requested_models import request_id_parts
from pipelines.engine.sources import folder_of
from pipelines.engine.tables import publish_table
from pipelines.requests import pair as make_pairs
from stages.io.source import DEFAULT_SCHEMES
from stages.io.storage import Storage


def pair(
    references: Sequence[str],
    clips: str,
    out: str,
    *,
    settings: Mapping[str, Any],
    models: Sequence[str] = (),
    limit: int | None,
    console: Console,
) -> JobResult:
    """Write a table with one request per picture, clip and model.

    Args:
        references: folders, globs, files or lists of pictures.
        clips: a dataset written by `prepare` or `ingest`, or videos.
        out: the Parquet file to write.
        settings: request columns common to all requests, such as `seed`.
        models: names of models, or places of trained ones; empty: the default of `animate`.
        limit: maximum number of pairs, spread over pictures and clips; None: all.
        console: receives the closing line.

    Raises:
        ManifestError: no pictures, or neither clips nor videos.
        CheckpointError: there is no trained model at a place.
        UnknownModelError: no model has one of the names.
        ValueError: `out` does not end in .parquet, or two trained models have the same name.
    """
    name = PurePosixPath(out).name
    if not name.endswith(".parquet"):
        raise ValueError(f"--out {out}: expected the name of a file that ends in .parquet")
    table = make_pairs(
        references,
        clips,
        allowed_schemes=DEFAULT_SCHEMES,
        settings=settings,
        models=models,
        id_parts=request_id_parts(models),
        limit=limit,
    )
    publish_table(Storage(folder_of(out)), name, table)
    console.line(f"pair: {table.num_rows} requests in {out}")
    return JobResult(exit_code=0, summary={"verb": "pair", "requests": table.num_rows, "out": out})
