"""Causes of failed training workers."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from jobs.training.ray_workers import cause_of


def unreadable(_block: dict[str, Any]) -> dict[str, Any]:
    raise FileNotFoundError(2, "No such file or directory", "/data/prepared")


@pytest.mark.usefixtures("ray_cluster")
def test_the_cause_is_the_workers_exception_and_not_the_advice_of_ray() -> None:
    import ray

    ray.cloudpickle.register_pickle_by_value(__import__(__name__))
    dataset = ray.data.from_arrow(pa.table({"number": [1]})).map_batches(unreadable)
    dataset.context.max_errored_blocks = 0
    with pytest.raises(ray.exceptions.RayError) as raised:
        dataset.materialize()
    assert cause_of(raised.value) == (
        "FileNotFoundError: [Errno 2] No such file or directory: '/data/prepared'; workers expect datasets, weights "
        "and --out at the same path on every node, or at a URL such as s3://"
    )


def test_a_message_without_an_exception_is_kept() -> None:
    assert cause_of(RuntimeError("a worker\nwas killed")) == "was killed"
