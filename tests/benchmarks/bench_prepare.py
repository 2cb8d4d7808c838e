"""Throughput of `prepare` against a hand-written multiprocessing loop over the same calls.

Both run the same stages with the same settings over the same clips in the same number of processes, one thread each.
The loop is the least that does the work: a pool, the stages, one Parquet file per clip. Ours also isolates faults,
commits durably and accounts for every row. What each clip costs is the slope between two sizes; what starting costs
is reported apart, because a corpus is large and a start is not.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from corpus import write_clips, write_manifest

from jobs.engine import config as configuration
from jobs.engine.ray_runtime import cluster
from pipelines.engine.keys import pipeline_key, stage_keys
from pipelines.engine.ledger import Ledger
from pipelines.engine.manifest import Manifest, columns_of
from pipelines.engine.plan import Plan
from pipelines.engine.rows import to_table
from pipelines.engine.runner import RunLimits, run
from pipelines.engine.schema import CLIP_COLUMNS, dataset_schema
from pipelines.engine.steps import Workers
from pipelines.engine.worker import WorkerSpec
from pipelines.prepare import KEY_COLUMNS, STAGES, WRITTEN, steps
from stages.io.storage import Storage

PROCESSES = 2
CONFIG = configuration.load(None, ["prepare.preset=puppets"]).prepare
OPENED: list[Any] = []
SCHEMA = dataset_schema("prepare", pa.schema(list(CLIP_COLUMNS.items())), WRITTEN)


def open_stages() -> None:
    """Start-up of a worker of the loop."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    for step in steps(CONFIG, dict.fromkeys(STAGES, Workers())):
        step.stage.open()
        OPENED.append(step.stage)


def prepare_one(task: tuple[dict[str, Any], str]) -> str:
    """One clip in the loop."""
    row, out = task
    for stage in OPENED:
        row = {**row, **stage.process(row)}
    del row["frames"], row["depth"]
    pq.write_table(to_table({**row, "status": "ok"}, SCHEMA), f"{out}/{row['clip_id']}.parquet", compression="zstd")
    return str(row["clip_id"])


def loop(manifest: Path, out: Path) -> float:
    """Seconds of the hand-written loop."""
    out.mkdir()
    started = time.perf_counter()
    rows = pq.read_table(manifest).to_pylist()
    with multiprocessing.get_context("spawn").Pool(PROCESSES, open_stages) as pool:
        done = list(pool.imap_unordered(prepare_one, [(row, str(out)) for row in rows]))
    assert len(done) == len(rows)
    return time.perf_counter() - started


def ours(manifest: Path, out: Path) -> float:
    """Seconds of our runner, from the manifest to the compacted dataset. Ray is up already, as on a cluster."""
    started = time.perf_counter()
    pipeline = steps(CONFIG, dict.fromkeys(STAGES, Workers(actors=PROCESSES)))
    stages = [step.stage for step in pipeline]
    keys = stage_keys(stages)
    ledger = Ledger(Storage(str(out)), "clip_id")
    clips = Manifest(
        url=str(manifest), id_column="clip_id", required=columns_of(CLIP_COLUMNS, list(CLIP_COLUMNS)), optional={}
    )
    plan = Plan(clips, ledger, key_columns=KEY_COLUMNS, pipeline=pipeline_key(keys))
    spec = WorkerSpec(
        stages=stages,
        keys=keys,
        pipeline_key=pipeline_key(keys),
        ledger=ledger,
        schema=SCHEMA,
        provenance={"code_version": "benchmark", "job_id": "benchmark", "weights": {}},
        row_timeout_seconds=600,
    )
    run(plan, pipeline, spec, RunLimits())
    assert plan.counts().accounted
    return time.perf_counter() - started


def verify(mine: Path, theirs: Path) -> None:
    """Both must have computed the same before their times mean anything."""
    ledger = Ledger(Storage(str(mine)), "clip_id")
    for row in ledger.rows(["clip_id", "status", "keypoints", "agnostic_mask", "depth_png"]):
        other = pq.read_table(theirs / f"{row['clip_id']}.parquet").to_pylist()[0]
        assert row["status"] in ("ok", "rejected")
        assert np.allclose(row["keypoints"], np.array(other["keypoints"], np.float32), atol=1e-4)
        assert row["agnostic_mask"] == other["agnostic_mask"]
        assert row["depth_png"] == other["depth_png"]


def main() -> None:
    """Interleave both at two sizes; print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=12)
    parser.add_argument("--large", type=int, default=60)
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    seconds: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, cluster(None):
        root = Path(folder)
        rows = write_clips(root, num_videos=6, num_frames=arguments.frames, size_px=(384, 256))
        sizes = (arguments.small, arguments.large)
        manifests = {count: write_manifest(root / f"clips{count}.parquet", rows, count) for count in sizes}
        for repeat in range(arguments.repeats):
            for count in sizes:
                for name, function in (("ours", ours), ("loop", loop)):
                    out = root / f"{name}-{count}-{repeat}"
                    seconds.setdefault((name, count), []).append(function(manifests[count], out))
                if repeat == 0:
                    verify(root / f"ours-{count}-0", root / f"loop-{count}-0")
    slopes, fixed = {}, {}
    for name in ("ours", "loop"):
        small, large = (statistics.median(seconds[name, count]) for count in sizes)
        slopes[name] = (large - small) / (arguments.large - arguments.small)
        fixed[name] = small - slopes[name] * arguments.small
    print(
        json.dumps(
            {
                "benchmark": "prepare",
                "clips": list(sizes),
                "frames_per_clip": arguments.frames,
                "processes": PROCESSES,
                "clips_per_second": round(1 / slopes["ours"], 3),
                "clips_per_second_loop": round(1 / slopes["loop"], 3),
                "ratio": round(slopes["loop"] / slopes["ours"], 3),
                "fixed_seconds": round(fixed["ours"], 1),
                "fixed_seconds_loop": round(fixed["loop"], 1),
                "seconds": {
                    f"{name}-{count}": [round(s, 1) for s in values] for (name, count), values in seconds.items()
                },
            }
        )
    )


if __name__ == "__main__":
    main()
