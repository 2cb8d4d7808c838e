from __future__ import annotations

import pytest

from jobs.engine.verdict import few_ok, max_failed, too_many_failed
from pipelines.engine.ledger import Counts


def test_the_number_of_rows_that_may_fail() -> None:
    assert max_failed(None, None, 57) == 5
    assert max_failed(None, 3, 57) == 3
    assert max_failed("50%", 3, 57) == 28
    assert max_failed("0", None, 57) == 0
    for text in ("some", "-1", "101%"):
        with pytest.raises(ValueError, match="expected a number of rows or a percentage"):
            max_failed(text, None, 57)


def test_too_many_failures_are_an_error_with_their_reasons() -> None:
    counts = Counts(total=13, ok=10, failed=3, reasons={"NotFound": 1, "DecodeError": 2})
    assert too_many_failed(counts, 3, "out") is None
    error = too_many_failed(counts, 1, "out")
    assert error is not None
    assert error.startswith("3 of 13 rows failed, --max-failed allows 1 (DecodeError 2, NotFound 1)")
    assert "`zoetrope retry out`" in error


def test_a_job_of_which_few_rows_are_ok_says_so() -> None:
    counts = Counts(total=57, ok=2, rejected=55, reasons={"NoPerson": 50, "NoMotion": 5})
    warning = few_ok(counts, "report.html")
    assert warning is not None
    assert warning.startswith("55 of 57 rows (96%) are not ok: 55 rejected, 0 failed (NoPerson 50, NoMotion 5)")
    assert few_ok(Counts(total=57, ok=40, rejected=17), "report.html") is None
    assert few_ok(Counts(total=57), "report.html") is None
