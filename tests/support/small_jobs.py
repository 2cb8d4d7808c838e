"""Whole jobs at small size, for tests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from jobs.engine import config as configuration
from jobs.engine.config import JobConfig
from jobs.engine.spec import JobResult, Options


@dataclass(frozen=True)
class Corpus:
    """Puppets drawn, ingested and prepared once for all tests that only look."""

    root: Path
    puppets: Path
    ingested: JobResult
    prepared: JobResult

    @property
    def clips(self) -> Path:
        return self.root / "clips"

    @property
    def dataset(self) -> Path:
        return self.root / "prepared"


PUPPETS = ("--preset", "puppets")
"""Options of a command on puppets."""


def small_config(*assignments: str) -> JobConfig:
    """Networks of puppets, small pictures and half a CPU a worker, so that a test takes seconds."""
    small = (
        *(f"{verb}.preset=puppets" for verb in ("prepare", "animate", "evaluate")),
        "prepare.decode.short_side_px=128",
        "ingest.cut.min_frames=6",
        "workers.default.cpus=0.5",
        "workers.default.actors=1",
    )
    return configuration.load(None, [*small, *assignments])


def options(root: Path, **changes: object) -> Options:
    """MLflow in the test's own folder."""
    return Options(tracking_uri=tracking_uri(root / "mlflow.db"), **changes)  # type: ignore[arg-type]


def tracking_uri(database: Path) -> str:
    """URI of an MLflow database with empty tables: to create those takes MLflow 2 s, to copy them none."""
    if not database.exists():
        database.parent.mkdir(parents=True, exist_ok=True)
        database.write_bytes(_empty_database())
    return f"sqlite:///{database}"


@cache
def _empty_database() -> bytes:
    from mlflow import MlflowClient

    with TemporaryDirectory() as folder:
        database = Path(folder) / "mlflow.db"
        MlflowClient(f"sqlite:///{database}").search_experiments()
        return database.read_bytes()
