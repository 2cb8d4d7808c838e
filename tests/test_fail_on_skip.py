"""`ZOETROPE_FAIL_ON_SKIP=1` turns skips into failures, except for the listed reasons."""

from __future__ import annotations

from pathlib import Path

import fail_on_skip
import pytest

TESTS = """
import pytest

@pytest.fixture
def browser():
    pytest.skip("no Chromium")

def test_skips_in_a_fixture(browser): ...

@pytest.mark.skipif(True, reason="no data")
def test_skips_by_mark(): ...

def test_skips_in_the_body():
    pytest.skip("cannot now")

def test_may_skip():
    pytest.skip("the package sam2 is not installed: pip install 'zoetrope[sam2]'")

@pytest.mark.weights
def test_needs_weights():
    pytest.skip("set ZOETROPE_TEST_SAM2")

@pytest.mark.xfail
def test_fails_as_expected():
    assert False

def test_passes(): ...
"""

MODULE = """
import pytest
pytest.importorskip("a_package_that_is_not_installed", reason="needs a package")
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("ZOETROPE_FAIL_ON_SKIP", "1")
    pytester.makeconftest(Path(fail_on_skip.__file__).read_text())
    pytester.makeini("[pytest]\nmarkers = weights")
    return pytester


@pytest.mark.parametrize("workers", ["0", "1"])
def test_skips_fail_with_their_reason(project: pytest.Pytester, workers: str) -> None:
    project.makepyfile(TESTS)
    result = project.runpytest_inprocess("-n", workers, "-rs")
    outcomes = result.parseoutcomes()
    # A skip in the setup phase is reported as an error, one in the body as a failure.
    assert outcomes == {"failed": 1, "errors": 2, "skipped": 2, "xfailed": 1, "passed": 1}
    for reason in ("no Chromium", "no data", "cannot now"):
        result.stdout.fnmatch_lines(f"*ZOETROPE_FAIL_ON_SKIP=1 requires it to run: {reason}*")


def test_a_module_that_skips_fails(project: pytest.Pytester) -> None:
    project.makepyfile(MODULE)
    result = project.runpytest_inprocess("-n", "0")
    assert result.ret != 0
    result.stdout.fnmatch_lines("*requires it to run: needs a package*")


def test_skips_stay_skips_without_the_variable(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZOETROPE_FAIL_ON_SKIP")
    project.makepyfile(TESTS)
    assert project.runpytest_inprocess("-n", "0").parseoutcomes() == {"skipped": 5, "xfailed": 1, "passed": 1}


@pytest.mark.parametrize("reason", fail_on_skip.REASONS_WITHOUT_DATA)
def test_optional_data_must_be_read_where_present(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reason: str) -> None:
    monkeypatch.setitem(fail_on_skip.REASONS_WITHOUT_DATA, reason, tmp_path / "data")
    assert fail_on_skip.is_allowed(f"{reason} beside this checkout")
    (tmp_path / "data").mkdir()
    assert not fail_on_skip.is_allowed(f"{reason} beside this checkout")
