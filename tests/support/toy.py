"""A small pipeline for tests of the machinery: numbers instead of frames."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from pipelines.engine.keys import pipeline_key, stage_keys
from pipelines.engine.ledger import Ledger
from pipelines.engine.schema import dataset_schema
from pipelines.engine.steps import Step, Workers
from pipelines.engine.worker import WorkerSpec
from stages.base import Row, Stage
from stages.io.storage import Storage
from stages.outcome import BadRow, Reason, Rejected

REQUIRED = {"clip_id": pa.string(), "value": pa.int64()}
OPTIONAL = {"fault": pa.string()}
WRITTEN = {"size": pa.int32(), "total": pa.float64()}


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodeConfig:
    repeat: int = 3
    log: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SumConfig:
    factor: float = 1.0
    log: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectConfig:
    max_total: float = 1e9


def note(log: str | None, text: str) -> None:
    if log is not None:
        with Path(log).open("a") as file:
            file.write(text + "\n")


class DecodeStage(Stage[DecodeConfig]):
    """Makes `frames`, and whatever fault the row asks for."""

    name = "decode"
    reads: ClassVar[frozenset[str]] = frozenset({"value", "fault"})
    writes: ClassVar[frozenset[str]] = frozenset({"frames", "size"})
    transient: ClassVar[frozenset[str]] = frozenset({"frames"})

    def process(self, row: Row) -> Row:
        note(self.config.log, f"decode {row['clip_id']}")
        match row["fault"]:
            case "bad":
                raise BadRow(Reason.DECODE_ERROR, "asked for")
            case "raise":
                raise RuntimeError("unexpected, asked for")
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                time.sleep(3600)
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case "hold":
                ctypes.PyDLL(None).sleep(3600)  # unlike CDLL, keeps the interpreter's lock
            case "memory":
                raise MemoryError
            case "slow":
                time.sleep(0.3)
        return {"frames": np.full(self.config.repeat, row["value"]), "size": self.config.repeat}


class SumStage(Stage[SumConfig]):
    name = "sum"
    reads: ClassVar[frozenset[str]] = frozenset({"frames"})
    writes: ClassVar[frozenset[str]] = frozenset({"total"})

    def process(self, row: Row) -> Row:
        note(self.config.log, f"sum {row['clip_id']}")
        return {"total": float(row["frames"].sum() * self.config.factor)}


class UnopenableStage(SumStage):
    def open(self) -> None:
        raise FileNotFoundError("no weights at nowhere")


class SelectStage(Stage[SelectConfig]):
    name = "select"
    reads: ClassVar[frozenset[str]] = frozenset({"total"})
    writes: ClassVar[frozenset[str]] = frozenset()

    def process(self, row: Row) -> Row:
        if row["total"] > self.config.max_total:
            raise Rejected(Reason.NO_MOTION, f"total {row['total']} > {self.config.max_total}")
        return {}


def steps(
    *,
    decode: DecodeConfig | None = None,
    total: SumConfig | None = None,
    select: SelectConfig | None = None,
    actors: int = 1,
) -> list[Step]:
    workers = Workers(actors=actors, cpus=0.5)
    stages: list[Stage[Any]] = [
        DecodeStage(decode or DecodeConfig()),
        SumStage(total or SumConfig()),
        SelectStage(select or SelectConfig()),
    ]
    return [Step(stage=stage, workers=workers) for stage in stages]


def ledger_at(path: object) -> Ledger:
    return Ledger(Storage(str(path)), "clip_id")


ROW_SCHEMA = dataset_schema("toy", pa.schema([("clip_id", pa.string()), ("value", pa.int64())]), {})


def commit_row(ledger: Ledger, name: str, number: int, **columns: object) -> None:
    """Commit one row without a pipeline."""
    row = {"clip_id": name, "value": number, "work_key": f"{name}-{number}", "committed_at": number}
    ledger.commit({**row, "status": "ok", **columns}, ROW_SCHEMA)


def spec_for(pipeline: list[Step], ledger: Ledger, *, row_timeout_seconds: float = 60.0) -> WorkerSpec:
    stages = [step.stage for step in pipeline]
    keys = stage_keys(stages)
    schema = dataset_schema("toy", pa.schema([*REQUIRED.items(), *OPTIONAL.items()]), WRITTEN)
    return WorkerSpec(
        stages=stages,
        keys=keys,
        pipeline_key=pipeline_key(keys),
        ledger=ledger,
        schema=schema,
        provenance={"code_version": "test", "job_id": "job", "weights": {}},
        row_timeout_seconds=row_timeout_seconds,
    )


def write_manifest(path: Any, values: dict[str, int], faults: dict[str, str] | None = None) -> str:
    faults = faults or {}
    table = pa.table(
        {
            "clip_id": pa.array(list(values), pa.string()),
            "value": pa.array(list(values.values()), pa.int64()),
            "fault": pa.array([faults.get(name) for name in values], pa.string()),
        }
    )
    import pyarrow.parquet as pq

    pq.write_table(table, path)
    return str(path)
