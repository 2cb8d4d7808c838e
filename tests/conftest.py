from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fail_on_skip import pytest_make_collect_report, pytest_runtest_makereport
from hypothesis import HealthCheck, settings

__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport"]

pytest_plugins = ["pytester"]

# No test depends on the speed of the machine.
settings.register_profile("zoetrope", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("zoetrope")

# No test reads or writes the user's caches. Workers of pytest-xdist share the folder of their parent.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _cache = tempfile.TemporaryDirectory(prefix="zoetrope-tests-cache-")
    os.environ["XDG_CACHE_HOME"] = _cache.name

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # pytest workers share the cores


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Runs a test on one PyTorch thread: small networks are many times slower on two threads of busy cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Local Ray cluster with 2 CPUs and 200 MB of object store, shared by all tests of a pytest worker."""
    import ray
    import toy
    import toy_animation

    from pipelines.engine.runner import configure_ray_data

    # Ray workers cannot import the test modules, so their classes and functions are pickled by value.
    ray.cloudpickle.register_pickle_by_value(toy)
    ray.cloudpickle.register_pickle_by_value(toy_animation)
    # Two clusters that start at once on busy cores can exceed the 30 s that Ray waits for its raylet.
    with (tmp_path_factory.getbasetemp().parent / "ray.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ray.init(
            "local",
            num_cpus=2,
            include_dashboard=False,
            logging_level="ERROR",
            log_to_driver=False,
            object_store_memory=200 << 20,
        )
    configure_ray_data()
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def shared_media() -> Path:
    """Folder of real videos and pictures; optional data."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "media"
    if not folder.is_dir():
        pytest.skip("no real media in ../shared/media")
    return folder
