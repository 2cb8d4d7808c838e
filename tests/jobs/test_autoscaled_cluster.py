"""Jobs on a cluster whose nodes are started by Ray's own autoscaler, as processes of this machine."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import ray.util
from puppet_media import write_driving
from small_jobs import tracking_uri

SCRIPTS = Path(sys.executable).parent
HEAD_ID = "f" * 51 + "00000"
"""Name of the head in Ray's provider of nodes on one machine."""
NODE_BYTES = 100_000_000


@pytest.fixture
def address(ray_session: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A head without CPUs, and at most one other node, with 2 CPUs and 1 GPU, if something asks for it."""
    # `ray start` asks for a token where a file of one is found, and the driver sends none unless it is set to.
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"{ray.util.get_node_ip_address()}:{port}"
    config = ray_session / "autoscaler.json"
    config.write_text(json.dumps(autoscaler(address)))
    subprocess.run(
        [
            *(str(SCRIPTS / "ray"), "start", "--head", f"--port={port}", "--num-cpus=0", "--num-gpus=0"),
            *("--include-dashboard=false", f"--object-store-memory={NODE_BYTES}"),
            f"--temp-dir={ray_session}",
            f"--autoscaling-config={config}",
        ],
        env={**os.environ, "RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"},
        capture_output=True,
        check=True,
    )
    return address


def autoscaler(address: str) -> dict[str, object]:
    provider = {"type": "fake_multinode", "gcs_address": address, "head_node_id": HEAD_ID}
    return {
        "cluster_name": "test",
        "provider": provider | {"disable_launch_config_check": True, "disable_node_updaters": True},
        "auth": {},
        "max_workers": 1,
        "idle_timeout_minutes": 5,
        "head_node_type": "head",
        "available_node_types": {
            "head": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "gpu": {
                "resources": {"CPU": 2, "GPU": 1, "object_store_memory": NODE_BYTES},
                "node_config": {},
                "min_workers": 0,
                "max_workers": 1,
            },
        },
        "file_mounts": {},
        "file_mounts_sync_continuously": False,
        "cluster_synced_files": [],
        **{name: [] for name in ("rsync_exclude", "rsync_filter", "initialization_commands", "setup_commands")},
        **{f"{node}_{name}": [] for node in ("head", "worker") for name in ("setup_commands", "start_ray_commands")},
    }


@pytest.mark.nightly
@pytest.mark.slow
def test_a_job_waits_for_the_node_that_it_asks_for_and_no_longer_than_its_limit(address: str, tmp_path: Path) -> None:
    write_driving(tmp_path / "video.mp4")

    def ingest(*settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(str(SCRIPTS / "zoetrope"), "ingest", "video.mp4", "--out", "out", "--ray-address", address),
                *("--tracking-uri", tracking_uri(tmp_path / "mlflow.db")),
                *(word for setting in settings for word in ("--set", setting)),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=250,
        )

    refused = ingest("workers.default.gpus=4", "limits.wait_for_resources_seconds=3")
    assert refused.returncode == 1, refused.stderr
    assert "error: no nodes came within 3 s (limits.wait_for_resources_seconds)" in refused.stderr
    assert "4 GPU, workers.default) need more than there is: 0 CPU, 0 GPU" in refused.stderr

    done = ingest("workers.default.gpus=1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "waiting up to 900 s (limits.wait_for_resources_seconds) for nodes: the steps probe, cut" in done.stdout
    assert pq.read_table(tmp_path / "out" / "videos", columns=["status"]).to_pylist() == [{"status": "ok"}]
