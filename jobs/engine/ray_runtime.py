"""Start of, or connection to, a Ray cluster."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import ray
import ray.data  # before the levels of its loggers are set, which the import resets

from pipelines.engine.runner import configure_ray_data

CHECKOUT = Path(__file__).resolve().parents[2]
LOCAL_STORE_BYTES = 2 << 30
EXCLUDES = [".git", ".venv", "demo", "runs", "tests", "**/__pycache__", "*.mp4", "mlflow.db", "mlartifacts"]


@contextlib.contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """Context manager with an initialised Ray. If Ray is already initialised, it is used and not shut down.

    Args:
        address: address of a running cluster (`ray://host:10001`, `auto`), which receives this checkout as its working
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
    # Ray Data logs the traceback of each exception in addition to raising it.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    if address is None:
        store = min(LOCAL_STORE_BYTES, int(psutil.virtual_memory().available * 0.3))
        with _silent_stderr():
            # "local": a cluster running on this machine is joined only if its address is given.
            ray.init(
                "local", include_dashboard=False, logging_level="ERROR", log_to_driver=False, object_store_memory=store
            )
    else:
        environment = {"working_dir": str(CHECKOUT), "excludes": EXCLUDES}
        ray.init(address=address, logging_level="ERROR", log_to_driver=False, runtime_env=environment)
    try:
        configure_ray_data()
        yield
    finally:
        ray.shutdown()


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
