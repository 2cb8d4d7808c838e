"""Commands import only the libraries that they use: those that take seconds are imported for rows to run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
sys.argv = ["zoetrope", *sys.argv[1:]]
import zoetrope
try:
    zoetrope.main()
finally:
    libraries = ("torch", "ray", "mlflow", "pandas", "transformers", "duckdb", "av")
    print(*(name for name in libraries if name in sys.modules), file=sys.stderr)
"""


def imported(*arguments: str, folder: Path) -> set[str]:
    """Libraries of `PROGRAM` that a command has imported at its end."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["animate", "--help"], ["prepare"], ["weights", "list"]]
)
def test_help_and_usage_errors_import_no_large_library(arguments: list[str], tmp_path: Path) -> None:
    assert imported(*arguments, folder=tmp_path) == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ["config"],
        ["status", "."],
        ["animate", "--reference", "a.png", "--driving", "b.mp4", "--out", "o", "--model", "animate-anyon"],
    ],
)
def test_commands_without_rows_import_neither_ray_nor_torch_nor_mlflow(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "_jobs").mkdir()
    (tmp_path / "_jobs" / "last.json").write_text(json.dumps({"verb": "prepare", "job_id": "20260101T000000-0"}))
    assert imported(*arguments, folder=tmp_path) <= {"duckdb", "av"}
