"""A user's own `models`, `stages`, `jobs` or `pipelines` are not imported in place of this project's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pyarrow.parquet as pq
import pytest

import zoetrope

ZOETROPE = str(Path(sys.executable).with_name("zoetrope"))
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def shadows(tmp_path: Path) -> Path:
    """A folder with packages of the same names, each of which ends its process."""
    for name in zoetrope.PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong package')\n")
    return tmp_path


def run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_command_puts_its_own_packages_first(shadows: Path) -> None:
    done = run(ZOETROPE, "prepare", "nowhere", "--out", "out", "--preset", "puppets", folder=shadows)
    assert done.stderr.startswith(f"error: {shadows}/nowhere does not exist"), done.stderr
    assert done.returncode == 2


@pytest.mark.slow
def test_workers_put_them_first_as_well(shadows: Path) -> None:
    (shadows / "video.mp4").write_bytes(b"<html>")
    settings = ("--set", "workers.default.actors=1", "--set", "workers.default.cpus=0.5")
    run(ZOETROPE, "ingest", "video.mp4", "--out", "out", "--tracking-uri", "file:mlruns", *settings, folder=shadows)
    (row,) = pq.read_table(shadows / "out" / "videos").to_pylist()
    assert row["reason"] == "NotAVideo"


def test_another_package_that_is_already_imported_is_an_error(monkeypatch: pytest.MonkeyPatch, shadows: Path) -> None:
    other = ModuleType("models")
    other.__file__ = str(shadows / "models" / "__init__.py")
    monkeypatch.setitem(sys.modules, "models", other)
    with pytest.raises(ImportError, match=rf"models was imported from {shadows}.*, expected {ROOT / 'models'}"):
        zoetrope.put_first()


def test_other_modules_are_found_as_usual() -> None:
    assert zoetrope.OwnPackages.find_spec("json", None) is None
    spec = zoetrope.OwnPackages.find_spec("models", None)
    assert spec is not None
    assert spec.origin == str(ROOT / "models" / "__init__.py")
