import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

# Test folders are no packages; the toy pipeline is loaded by path, and travels to Ray workers by value.
_spec = importlib.util.spec_from_file_location("toy", Path(__file__).with_name("toy.py"))
assert _spec is not None
assert _spec.loader is not None
_toy = importlib.util.module_from_spec(_spec)
sys.modules["toy"] = _toy
_spec.loader.exec_module(_toy)
ray.cloudpickle.register_pickle_by_value(_toy)


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    from pipelines.runner import configure_ray_data

    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False, object_store_memory=200 << 20)
    configure_ray_data()
    yield
    ray.shutdown()
