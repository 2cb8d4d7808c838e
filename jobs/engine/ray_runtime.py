"""Start of, or connection to, a Ray cluster."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import ray
import ray.data  # before the levels of its loggers are set, which the import resets

from jobs.engine.ray_watch import RayWatch
from pipelines.engine.runner import RayStoppedError, configure_ray_data

CHECKOUT = Path(__file__).resolve().parents[2]
PRELOADED = ("zoetrope", "ray.data", "pipelines.engine.worker")
"""Modules that workers of a local cluster import at their start; the first puts this project's packages first."""
WORKERS = {"worker_process_setup_hook": "zoetrope.put_first"}
"""The same for workers of other clusters, whose environment Ray makes anyway."""
LOCAL_STORE_BYTES = 2 << 30
_PRELOADED = "RAY_preload_python_modules"
_AUTOSCALER = str(Path(ray.__file__).parent / "autoscaler" / "_private" / "monitor.py")
_REACHABLE_SECONDS = 5.0
EXCLUDES = [".git", ".venv", "demo", "runs", "tests", "**/__pycache__", "*.mp4", "mlflow.db", "mlartifacts"]


@contextlib.contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """Context manager with an initialised Ray. If Ray is already initialised, it is used and not shut down.

    Args:
        address: address of a running cluster (`HOST:6379`, `auto`), which receives this checkout as its working
            folder; None: start a local cluster without a dashboard.
    """
    if ray.is_initialized():
        configure_ray_data()
        yield
        return
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Suppresses Ray's messages at each start; errors are reported as rows and exceptions.
    # RAY_BACKEND_LOG_LEVEL=warning restores them.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    logging.getLogger("ray").setLevel(logging.ERROR)
    # `RayWatch` detects a dead GCS; Ray would end this process, before it has accounted for its rows.
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "3600")
    # Ray Data logs the traceback of each exception in addition to raising it.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    with _silent_stderr(), _handlers_kept():
        _start() if address is None else _join(address)
    watch = RayWatch()
    try:
        configure_ray_data()
        with watch:
            yield
    finally:
        if watch.dead:
            watch.kill()
        else:
            _shut_down()


def _start() -> None:
    # Not a runtime environment, which would leave Ray's first workers unused, and start others after its own agent.
    preloaded = (*PRELOADED, os.environ.get(_PRELOADED, ""))
    os.environ[_PRELOADED] = ",".join(filter(None, dict.fromkeys(preloaded)))
    store = min(LOCAL_STORE_BYTES, int(psutil.virtual_memory().available * 0.3))
    try:
        # "local": a cluster running on this machine is joined only if its address is given.
        ray.init(
            "local",
            include_dashboard=False,
            logging_level="ERROR",
            log_to_driver=False,
            object_store_memory=store,
        )
    except Exception as error:  # Ray raises plain exceptions, as for processes that do not start in time
        raise RayStoppedError(
            f"Ray did not start on this machine ({_first_line(error)}); it may be short of CPU or memory: run the same "
            "command again when there is room"
        ) from error


def _shut_down() -> None:
    # The autoscaler of a local cluster has nothing to do, and Ray would wait a second for it.
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if _AUTOSCALER in child.cmdline():
                child.kill()
    ray.shutdown()


def _join(address: str) -> None:
    _check_reachable(address)
    environment = {**WORKERS, "working_dir": str(CHECKOUT), "excludes": EXCLUDES}
    try:
        ray.init(address=address, logging_level="ERROR", log_to_driver=False, runtime_env=environment)
    except Exception as error:
        raise RayStoppedError(
            f"cannot join the Ray cluster at {address} ({_first_line(error)}); check --ray-address, and where the "
            "cluster asks for a token, set RAY_AUTH_MODE=token and put its token into ~/.ray/auth_token"
        ) from error


def _check_reachable(address: str) -> None:
    """Raise RayStoppedError if nothing answers at a `HOST:PORT`, which Ray itself tries for minutes."""
    if address.startswith("ray://"):
        raise RayStoppedError(
            f"--ray-address {address}: jobs do not run through the Ray client; run this command on a node of the "
            "cluster, with --ray-address auto"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_REACHABLE_SECONDS).close()
    except OSError as error:
        raise RayStoppedError(
            f"nothing answers at {address} ({error}); expected the address of a running Ray cluster (--ray-address)"
        ) from error


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__


@contextlib.contextmanager
def _handlers_kept() -> Iterator[None]:
    """Context manager that restores the handler of SIGTERM, which `ray.init` replaces."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Context manager that discards stderr, where Ray's native part prints its log level. Exceptions propagate."""
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
