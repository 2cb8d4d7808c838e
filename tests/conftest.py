from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fail_on_skip import pytest_make_collect_report, pytest_runtest_makereport

__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport"]

pytest_plugins = ["pytester"]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Runs a test on one PyTorch thread: small networks are many times slower on two threads of busy cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """Local Ray cluster with 2 CPUs and 200 MB of object store, shared by all tests of a pytest worker."""
    import ray
    import toy
    import toy_animation

    from pipelines.engine.runner import configure_ray_data

    # Ray workers cannot import the test modules, so their classes and functions are pickled by value.
    ray.cloudpickle.register_pickle_by_value(toy)
    ray.cloudpickle.register_pickle_by_value(toy_animation)
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
