"""`prepare` on a local multi-node cluster, with one node killed during the job."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from small_jobs import Corpus

DRIVER = """
import json, sys, threading, time
from pathlib import Path
from ray.cluster_utils import Cluster

from jobs.engine import config as configuration
from jobs.engine.console import Console
from jobs.engine.spec import Options
from jobs.verbs.prepare import prepare

clips, out = sys.argv[1:]
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 100 << 20})
nodes = [cluster.add_node(num_cpus=1, object_store_memory=100 << 20) for _ in range(2)]
cluster.wait_for_nodes()
killed = threading.Event()

def kill_a_node():
    while len(list(Path(out, "_parts").glob("*.parquet"))) < 2:
        time.sleep(0.02)
    cluster.remove_node(nodes[0], allow_graceful=False)
    killed.set()

threading.Thread(target=kill_a_node, daemon=True).start()
settings = ["prepare.preset=puppets", "workers.default.actors=2"]
settings += ["prepare.decode.short_side_px=64", "limits.rows_per_block=1"]
config = configuration.load(None, settings)
options = Options(ray_address=cluster.address, tracking_uri=f"sqlite:///{out}-mlflow.db")
try:
    result = prepare(clips, out, config=config, options=options, console=Console(json_only=True))
    print(json.dumps({**result.summary, "killed": killed.is_set()}))
finally:
    cluster.shutdown()
"""


@pytest.mark.nightly  # takes a minute to start its nodes; tests/pipelines/engine/test_runner.py kills single workers
@pytest.mark.slow
def test_a_node_dies_and_every_row_is_there(corpus: Corpus, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(corpus.clips)
    copies = []
    for number in range(16):
        ids = pa.array([f"{name}-{number:02d}" for name in table["clip_id"].to_pylist()[:1]])
        copies.append(table.slice(0, 1).set_column(table.schema.get_field_index("clip_id"), "clip_id", ids))
    pq.write_table(pa.concat_tables(copies), tmp_path / "clips.parquet")
    command = [sys.executable, "-c", DRIVER, str(tmp_path / "clips.parquet"), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["killed"]
    assert (summary["rows"], summary["failed"], summary["not_run"]) == (16, 0, 0)
    rows = pq.read_table(tmp_path / "out", columns=["clip_id"])["clip_id"].to_pylist()
    assert len(rows) == len(set(rows)) == 16
