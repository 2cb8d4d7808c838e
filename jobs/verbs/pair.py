"""`zoetrope pair`: pictures × clips → a table of requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from jobs.engine.console import Console
from jobs.engine.spec import JobResult
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
    """Write a request for every picture, every clip and every model.

    Args:
        references: folders, globs, files or lists of pictures.
        clips: a dataset that `prepare` or `ingest` wrote, or videos.
        out: the Parquet file to write.
        settings: columns of requests that are the same in all: seed, …
        models: their names; none leaves the model to `animate`.
        limit: at most so many pairs, spread over pictures and clips.
        console: what it says.

    Raises:
        ManifestError: no picture, or neither clip nor video.
        ValueError: `out` is no Parquet file.
    """
    name = PurePosixPath(out).name
    if not name.endswith(".parquet"):
        raise ValueError(f"--out {out}: expected the name of a file that ends in .parquet")
    table = make_pairs(
        references, clips, allowed_schemes=DEFAULT_SCHEMES, settings=settings, models=models, limit=limit
    )
    publish_table(Storage(folder_of(out)), name, table)
    console.line(f"pair: {table.num_rows} requests in {out}")
    return JobResult(exit_code=0, summary={"verb": "pair", "requests": table.num_rows, "out": out})
