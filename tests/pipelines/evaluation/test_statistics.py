from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feature_rows import PIPELINE, compared_rows, manifest, write_dataset
from hypothesis import given
from hypothesis import strategies as st

from models.metrics.frechet import FrechetStatistics, frechet_distance
from pipelines.engine.ledger import Ledger
from pipelines.evaluation.statistics import STATISTICS, merged_tree
from pipelines.evaluation.tables import compute_tables

ROWS = compared_rows(40, models=("m", "n"))
KEYS = {"fid": "network"}


def distances(ledger: Ledger, keys: dict[str, str] | None = None) -> dict[str, float | None]:
    tables = compute_tables(ledger, manifest(ledger), pipeline=PIPELINE, stage_keys=keys or KEYS)
    return {table.model: value.value for table in tables for value in table.values if value.name == "fid"}


def parts(ledger: Ledger) -> dict[str, int]:
    """Files of statistics and their times of modification."""
    names = ledger.storage.names(STATISTICS)
    return {name: Path(ledger.storage.path(name)).stat().st_mtime_ns for name in names}


def expected(model: str) -> float:
    """The distance from all features at once."""
    sides = [
        np.concatenate([row[column] for row in ROWS if row["model"] == model])
        for column in ("fid_features", "fid_truth_features")
    ]
    return frechet_distance(*map(FrechetStatistics.of, sides), ddof=1)


def test_distance_is_the_same_for_any_order_and_number_of_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    for files in (1, 3, 40):
        shuffled = [ROWS[index] for index in rng.permutation(len(ROWS))]
        found = distances(write_dataset(tmp_path / str(files), shuffled, files=files))
        assert found == {model: pytest.approx(expected(model), rel=1e-12) for model in ("m", "n")}


@given(st.lists(st.integers(1, 4), min_size=1, max_size=20), st.randoms())
def test_merging_as_a_tree_equals_one_sum(sizes: list[int], random: Any) -> None:
    rng = np.random.default_rng(random.getrandbits(32))
    sets = [rng.normal(size=(size, 3)) for size in sizes]
    merged = merged_tree(FrechetStatistics.of(part) for part in sets)
    whole = FrechetStatistics.of(np.concatenate(sets))
    assert merged is not None
    assert merged.n == whole.n
    np.testing.assert_allclose(merged.outer, whole.outer, rtol=1e-12, atol=1e-12)
    assert merged_tree(iter(())) is None


def test_only_what_changed_is_computed_again(tmp_path: Path) -> None:
    ledger = write_dataset(tmp_path, ROWS, files=4)
    distances(ledger)
    before = parts(ledger)
    assert len(before) == 4
    distances(ledger)
    assert parts(ledger) == before
    # Another row in one file: the file's statistics are replaced, the others stay.
    changed = [{**row, "animation_stamp": "2"} if row["animation_id"] == "a000" else row for row in ROWS]
    ledger = write_dataset(tmp_path, changed, files=4)
    distances(ledger)
    after = parts(ledger)
    assert len(after.items() & before.items()) == 3
    assert len(after) == 4
    # Another network: all are.
    distances(ledger, {"fid": "another network"})
    assert not parts(ledger).keys() & after.keys()


def test_rows_of_other_pipelines_and_manifests_do_not_count(tmp_path: Path) -> None:
    strangers = [
        {**ROWS[0], "animation_id": "old", "pipeline_key": "old"},
        {**ROWS[0], "animation_id": "failed", "status": "failed"},
    ]
    ledger = write_dataset(tmp_path, [*ROWS, *strangers], files=2)
    assert distances(ledger)["m"] == pytest.approx(expected("m"), rel=1e-12)


KILLED = """
import os, signal, sys
sys.path[:0] = [{support!r}]
from pathlib import Path
from feature_rows import PIPELINE, manifest
from pipelines.engine.ledger import Ledger
from pipelines.evaluation.tables import compute_tables
from stages.io.storage import Storage

publish, count = Storage.publish, 0

def killed(self, name, data):
    global count
    publish(self, name, data)
    count += 1
    if count == {after}:
        os.kill(os.getpid(), signal.SIGKILL)

Storage.publish = killed
ledger = Ledger(Storage({root!r}), "animation_id")
compute_tables(ledger, manifest(ledger), pipeline=PIPELINE, stage_keys={{"fid": "network"}})
"""


def test_a_killed_run_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    ledger = write_dataset(tmp_path, ROWS, files=5)
    import feature_rows

    code = KILLED.format(support=str(Path(feature_rows.__file__).parent), after=2, root=str(tmp_path))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", code], env=environment, timeout=100, check=False)
    assert killed.returncode == -signal.SIGKILL
    before = parts(ledger)
    assert len(before) == 2
    assert distances(ledger) == {model: pytest.approx(expected(model), rel=1e-12) for model in ("m", "n")}
    after = parts(ledger)
    assert len(after) == 5
    assert before.items() <= after.items()
