import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fsspec
import pytest

from pipelines.engine import lock
from pipelines.engine.lock import DatasetBusyError, dataset_lock
from stages.io.storage import Storage

HOLDER = """
import sys, time
from pipelines.engine.lock import dataset_lock
from stages.io.storage import Storage
with dataset_lock(Storage(sys.argv[1]), "first"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_job_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    storage = Storage(str(tmp_path))
    with pytest.raises(DatasetBusyError, match=rf'"job_id": "first".*"pid": {holder.pid}.*give this job another --out'):
        with dataset_lock(storage, "second"):
            pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with dataset_lock(storage, "second"):
        pass


def test_on_an_object_store_a_lease_is_renewed_and_a_dead_one_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LEASE_SECONDS", 0.4)
    fsspec.filesystem("memory").store.clear()
    storage = Storage("memory://bucket/out")
    with dataset_lock(storage, "first"):
        time.sleep(1.0)
        with pytest.raises(DatasetBusyError, match="first"):
            with dataset_lock(storage, "second"):
                pass
    with dataset_lock(storage, "second"):
        pass
    storage.publish("_jobs/lease.json", b'{"job_id": "died", "renewed_at": 1.0}')
    with dataset_lock(storage, "third"):
        pass
