"""`zoetrope demo`: the whole pipeline on puppets, for somebody who has just cloned the repository."""

from __future__ import annotations

import sys
from pathlib import Path

from jobs import config as configuration
from jobs.console import Console
from jobs.ingest import ingest
from jobs.prepare import prepare
from jobs.puppets import write_puppets
from jobs.ray_runtime import cluster
from jobs.spec import JobResult, Options

SEED = 87
"""Draws people and other characters, in several motions and places, with objects held and nearby, and a cut."""


def demo(out: Path, *, num_videos: int, console: Console) -> JobResult:
    """Draw puppets, ingest and prepare them. Run again, it redoes nothing that is done."""
    corpus = out / "puppets"
    console.line(f"drawing {num_videos} puppet videos in {corpus}")
    write_puppets(corpus, num_videos=num_videos, seed=SEED, seconds=3.0)
    config = configuration.load(None)
    options = Options(tracking_uri=f"sqlite:///{(out / 'mlflow.db').resolve()}")
    with cluster(None):
        ingested = ingest(
            [str(corpus / "puppets.parquet")],
            str(out),
            objects=str(corpus / "objects.parquet"),
            config=config,
            options=options,
            console=console,
        )
        if ingested.exit_code:
            return ingested
        prepared = prepare(str(out / "clips"), str(out / "prepared"), config=config, options=options, console=console)
    console.line("")
    console.line(f"open the report:    {Path(prepared.summary['report']).resolve()}")
    console.line(f"read the dataset:   {(out / 'prepared').resolve()} (any Parquet reader)")
    mlflow = Path(sys.executable).with_name("mlflow")
    console.line(f"browse the runs:    {mlflow} ui --backend-store-uri {options.tracking_uri}")
    return prepared
