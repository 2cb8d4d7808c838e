"""A local cluster whose processes are killed, and addresses at which there is no cluster."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import psutil
import pytest

DRIVER = """
import sys, time
from jobs.cli.main import _fail
from jobs.engine.ray_runtime import cluster

try:
    with cluster(sys.argv[1] if len(sys.argv) > 1 else None):
        print("ready", flush=True)
        time.sleep(600)
except RuntimeError as error:
    _fail(str(error), code=1)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("process", "name"), [("gcs_server", "its GCS at "), ("raylet", "the raylet at ")])
def test_a_dead_process_of_ray_is_one_line_within_seconds(process: str, name: str) -> None:
    driver = subprocess.Popen([sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    assert driver.stdout.readline() == "ready\n"
    time.sleep(2)  # for the first look at the processes
    children = psutil.Process(driver.pid).children(recursive=True)
    (target,) = [child for child in children if child.name() == process]
    target.kill()
    _, errors = driver.communicate(timeout=60)
    assert driver.returncode == 1
    assert errors.startswith(f"error: Ray stopped the job: {name}")
    assert errors.endswith("died; finished rows are committed, and the same command continues\n")
    assert len(errors.splitlines()) == 1
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []


def test_an_address_without_a_cluster_is_one_line_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, address], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: nothing answers at {address} ")
    assert done.stderr.count("\n") == 1
