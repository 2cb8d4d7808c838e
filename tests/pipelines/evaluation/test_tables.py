from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from feature_rows import PIPELINE, compared_rows, manifest, write_dataset, write_pairs

from models.metrics.bootstrap import bootstrap_interval
from pipelines.engine.ledger import Ledger
from pipelines.evaluation.tables import (
    BOOTSTRAP_SEED,
    CSV,
    MeasuredValue,
    ModelTable,
    compute_tables,
    evaluation_tables,
    publish_tables,
)
from stages.io.storage import Storage

KEYS = {"fid": "network"}


def tables(ledger: Ledger) -> tuple[ModelTable, ...]:
    return compute_tables(ledger, manifest(ledger), pipeline=PIPELINE, stage_keys=KEYS)


def test_tables_hold_means_intervals_and_counts(tmp_path: Path) -> None:
    rows = compared_rows(12, models=("m", "n"))
    rows[0]["psnr_db"] = None
    rows[1] |= {"status": "failed", "reason": "FrameCount"}
    rows[2] |= {"status": "rejected", "reason": "NoAnimation"}
    first, second = tables(write_dataset(tmp_path, rows))
    assert (first.model, first.ok, first.rejected, first.failed) == ("m", 5, 1, 0)
    assert (second.model, second.ok, second.rejected, second.failed) == ("n", 5, 0, 1)
    values = {value.name: value for value in first.values}
    assert list(values) == ["psnr_db", "flicker", "fid"]
    counted = [row for row in rows if row["model"] == "m" and row["status"] == "ok"]
    decibels = [row["psnr_db"] for row in counted if row["psnr_db"] is not None]
    psnr = values["psnr_db"]
    assert (psnr.n, psnr.value, psnr.truth_value) == (4, pytest.approx(np.mean(decibels)), None)
    assert (psnr.ci_low, psnr.ci_high) == bootstrap_interval(decibels, seed=BOOTSTRAP_SEED)
    assert values["flicker"].truth_value == pytest.approx(np.mean([row["flicker_truth"] for row in counted]))
    assert values["fid"].n == min(
        sum(len(row[column]) for row in counted) for column in ("fid_features", "fid_truth_features")
    )


def test_settings_are_those_of_the_pairs(tmp_path: Path) -> None:
    rows = compared_rows(6)
    ledger = write_dataset(tmp_path, rows)
    assert [table.setting for table in tables(ledger)] == ["default"]
    write_pairs(ledger.storage, [{**row, "setting": f"seed={index % 2}"} for index, row in enumerate(rows)])
    assert [(table.setting, table.ok) for table in tables(ledger)] == [("seed=0", 3), ("seed=1", 3)]


def test_too_few_samples_are_said(tmp_path: Path) -> None:
    rows = compared_rows(1)
    rows[0] |= {"fid_features": np.ones((1, 5), np.float32), "fid_truth_features": np.ones((3, 5), np.float32)}
    (table,) = tables(write_dataset(tmp_path / "one", rows))
    values = {value.name: value for value in table.values}
    assert (values["psnr_db"].n, values["psnr_db"].ci_low) == (1, None)
    assert values["fid"].value is None
    assert values["fid"].note == "1 sample of 5 dimensions has no covariance; expected 2 or more"
    rows[0]["fid_features"] = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    (table,) = tables(write_dataset(tmp_path / "few", rows))
    assert table.values[-1].note == "covariance of 3 samples in 5 dimensions is singular"
    assert table.values[-1].value is not None


def test_published_tables_are_read_back(tmp_path: Path) -> None:
    ledger = Ledger(Storage(str(tmp_path)), "animation_id")
    assert evaluation_tables(ledger) == ()
    values = (
        MeasuredValue(name="psnr_db", n=3, value=1 / 3, ci_low=0.1, ci_high=0.5),
        MeasuredValue(name="fid", n=1, value=None, note="1 sample, no covariance"),
    )
    given = (
        ModelTable(model="a, b", setting='x="1"', ok=3, rejected=0, failed=1, values=values),
        ModelTable(model="c", setting="default", ok=0, rejected=2, failed=0, values=()),
    )
    publish_tables(ledger, given)
    assert evaluation_tables(ledger) == given
    lines = list(csv.DictReader((tmp_path / CSV).read_text().splitlines()))
    assert [(line["model"], line["measure"], line["value"]) for line in lines] == [
        ("a, b", "psnr_db", repr(1 / 3)),
        ("a, b", "fid", ""),
        ("c", "", ""),
    ]


def test_an_empty_dataset_has_no_tables(tmp_path: Path) -> None:
    assert tables(Ledger(Storage(str(tmp_path)), "animation_id")) == ()
