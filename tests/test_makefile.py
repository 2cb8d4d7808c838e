"""`make demo` brings the networks for people where it can, and does not need them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STUB = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/../calls.txt"
[ "$1" = demo ] || {{ echo noise; echo noise >&2; exit {status}; }}
"""


@pytest.mark.parametrize(("status", "line"), [(0, "ready"), (2, "not here, as no package index gave them")])
def test_demo_says_on_one_line_whether_people_can_be_seen(status: int, line: str, tmp_path: Path) -> None:
    command = tmp_path / "bin" / "zoetrope"
    command.parent.mkdir()
    command.write_text(STUB.format(status=status))
    command.chmod(0o755)
    (tmp_path / ".installed").touch()
    done = subprocess.run(
        ["make", "--silent", "demo", f"VENV={tmp_path}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    (said,) = done.stdout.splitlines()
    assert line in said
    assert (tmp_path / "calls.txt").read_text().splitlines() == ["weights fetch people", "demo demo"]


@pytest.mark.parametrize("index", ["http://127.0.0.1:9/simple", "http://127.0.0.1:{silent}/simple"])
def test_an_index_that_is_not_there_or_does_not_answer_costs_seconds(index: str, tmp_path: Path) -> None:
    """The settings with which the Makefile calls pip end it soon; the time is pip's own limit, not this machine's."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        environment = {
            **os.environ,
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_INDEX_URL": index.format(silent=silent.getsockname()[1]),
            "PIP_TIMEOUT": "1",
            "XDG_CACHE_HOME": str(tmp_path),
            "PIP_NO_CACHE_DIR": "1",
        }
        command = tmp_path / "bin" / "zoetrope"
        command.parent.mkdir()
        real = Path(sys.executable).with_name("zoetrope")
        command.write_text(f'#!/bin/sh\n[ "$1" = demo ] && exit 0\nexec {real} "$@"\n')
        command.chmod(0o755)
        (tmp_path / ".installed").touch()
        done = subprocess.run(
            ["make", "--silent", "demo", f"VENV={tmp_path}"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (0, "")
    (said,) = done.stdout.splitlines()
    assert "not here" in said
