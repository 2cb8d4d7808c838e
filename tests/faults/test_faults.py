"""A job meets a fault, the same command continues it, and the datasets are those of an unbroken run."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from faulted_ingest import DAMAGED, NUM_VIDEOS, Account, account, run_ingest, write_videos
from faults import KINDS

SEEDS = range(20)

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(500), pytest.mark.usefixtures("ray_cluster")]


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_videos(tmp_path_factory.mktemp("faults") / "videos")


@pytest.fixture(scope="session")
def unbroken(ray_cluster: None, videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Account:
    out = tmp_path_factory.mktemp("unbroken") / "out"
    result = run_ingest(videos, out)
    assert (result.summary["rows"], result.summary["failed"]) == (NUM_VIDEOS, 1)
    expected = account(out)
    assert (len(expected.rows), expected.doubled) == (NUM_VIDEOS, 0)
    assert [name for name in expected.rows if name.startswith(DAMAGED)]
    return expected


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_dataset_is_that_of_an_unbroken_run(
    kind: str,
    seed: int,
    videos: Path,
    unbroken: Account,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    record_property("kind", kind)
    rng = random.Random(f"{kind} {seed}")
    KINDS[kind](rng, videos, tmp_path / "out")
    result = run_ingest(videos, tmp_path / "out")
    found = account(tmp_path / "out")
    record_property("lost", len(unbroken.rows.keys() - found.rows.keys()))
    record_property("doubled", found.doubled)
    record_property("equal", found == unbroken)
    assert (result.exit_code, result.summary["error"], result.summary["not_run"]) == (0, None, 0)
    assert unbroken.rows.keys() == found.rows.keys()
    assert found.doubled == 0
    assert found == unbroken
