"""Detection of a cluster that died: Ray itself waits a minute or more for it, and then ends the driver in silence."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import sys
import threading
from types import FrameType
from typing import NoReturn

import psutil
import ray

from pipelines.engine.runner import RayStoppedError

POLL_SECONDS = 1.0
NUM_FAILURES = 3
"""Failed connections in a row after which a process is considered dead."""
_SIGNAL = signal.SIGUSR1


class RayWatch:
    """Context manager that raises RayStoppedError in the main thread when Ray's GCS or the raylet of this node dies.

    Requires an initialised Ray. Outside of the main thread, it does nothing.
    """

    def __init__(self) -> None:
        self.dead: str | None = None
        """Name and address of the process that died."""
        self._endpoints = _endpoints()
        self._children: dict[int, psutil.Process] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="ray-watch", daemon=True)

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._handler_before = signal.signal(_SIGNAL, self._raise)
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        if self._thread.ident is not None:
            self._stop.set()
            self._thread.join()
            signal.signal(_SIGNAL, self._handler_before)

    def kill(self) -> None:
        """End what is left of a local cluster that died. `ray.shutdown` would wait for the dead process."""
        atexit.unregister(ray.shutdown)
        atexit.register(_exit_as_failed)
        for child in self._children.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()

    def _watch(self) -> None:
        failures = dict.fromkeys(self._endpoints, 0)
        while not self._stop.wait(POLL_SECONDS):
            # Kept from before the death: workers of a dead raylet are no children of this process any more.
            self._children |= {child.pid: child for child in psutil.Process().children(recursive=True)}
            for name, endpoint in self._endpoints.items():
                failures[name] = 0 if _answers(endpoint) else failures[name] + 1
                if failures[name] >= NUM_FAILURES:
                    self.dead = f"{name} at {endpoint[0]}:{endpoint[1]}"
                    signal.pthread_kill(threading.main_thread().ident or 0, _SIGNAL)
                    return

    def _raise(self, _number: int, _frame: FrameType | None) -> NoReturn:
        raise RayStoppedError(
            f"Ray stopped the job: {self.dead} died; finished rows are committed, and the same command continues"
        )


def _exit_as_failed() -> None:
    """End this process without the destructors of Ray's client, which crash without the dead process."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _endpoints() -> dict[str, tuple[str, int]]:
    context = ray.get_runtime_context()
    gcs_host, _, gcs_port = context.gcs_address.rpartition(":")
    node = next(node for node in ray.nodes() if node["NodeID"] == context.get_node_id())
    return {
        "its GCS": (gcs_host, int(gcs_port)),
        "the raylet": (node["NodeManagerAddress"], int(node["NodeManagerPort"])),
    }


def _answers(endpoint: tuple[str, int]) -> bool:
    try:
        socket.create_connection(endpoint, timeout=POLL_SECONDS).close()
    except OSError:
        return False
    return True
