from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small networks are many times slower on two busy threads than on one."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """One Ray for all tests that need it: starting one takes longer than most of them."""
    import ray
    import toy
    import toy_animation

    from pipelines.engine.runner import configure_ray_data

    # Test modules are not importable in a worker; what they define travels by value.
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
    """Real videos and pictures, which lie beside some checkouts."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "media"
    if not folder.is_dir():
        pytest.skip("no real media beside this checkout")
    return folder
