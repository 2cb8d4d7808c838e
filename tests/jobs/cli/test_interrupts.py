"""Real signals to real processes: the first ends a command in order, the second or the limit ends it at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from small_jobs import PUPPETS, Corpus, tracking_uri

COMMAND = """
import subprocess, sys, time
from jobs.cli import interrupts

interrupts.LIMIT_SECONDS = float(sys.argv[2])
with interrupts.Interrupts():
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        print("ready", flush=True)
        time.sleep(600)
    except KeyboardInterrupt:
        print("accounted", flush=True)
        if sys.argv[1] == "swallow":
            time.sleep(600)
"""


def start(kind: str, limit_seconds: float) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    arguments = [sys.executable, "-c", COMMAND, kind, str(limit_seconds)]
    command = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert command.stdout is not None
    assert command.stdout.readline() == "ready\n"
    return command, psutil.Process(command.pid).children()


def none_left(children: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(children, timeout=10)
    return not alive


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_ends_a_command_in_order(number: int, code: int) -> None:
    command, children = start("obey", 600)
    command.send_signal(number)
    out, errors = command.communicate(timeout=60)
    assert (command.returncode, out) == (code, "accounted\n")
    assert errors == "error: interrupted; finished work is committed, and the same command continues\n"
    assert none_left(children)


def test_a_command_that_does_not_end_is_ended_at_its_limit() -> None:
    command, children = start("swallow", 0.5)
    command.send_signal(signal.SIGTERM)
    command.communicate(timeout=60)
    assert command.returncode == 143
    assert none_left(children)


def test_the_second_signal_ends_it_at_once() -> None:
    command, children = start("swallow", 600)
    command.send_signal(signal.SIGINT)
    assert command.stdout is not None
    assert command.stdout.readline() == "accounted\n"
    command.send_signal(signal.SIGINT)
    command.communicate(timeout=60)
    assert command.returncode == 130
    assert none_left(children)


def handles_it_itself(command: subprocess.Popen[str]) -> bool:
    """Whether Python's own handler of SIGINT, which prints a traceback, is no longer installed."""
    caught = next(line for line in Path(f"/proc/{command.pid}/status").read_text().splitlines() if "SigCgt" in line)
    return not int(caught.split()[1], 16) >> (signal.SIGINT - 1) & 1


@pytest.mark.parametrize("delay_seconds", [0, 0.02, 0.05, 0.1, 0.2, 0.5])
def test_ctrl_c_during_the_first_imports_ends_without_a_traceback(delay_seconds: float, tmp_path: Path) -> None:
    """Before the first line of this project, while Python itself starts, its own handler prints a traceback."""
    command = subprocess.Popen(
        [Path(sys.executable).with_name("zoetrope"), "weights", "list"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while handles_it_itself(command):  # Python has not begun
        time.sleep(0.0005)
    while not handles_it_itself(command):
        assert command.poll() is None
        time.sleep(0.0005)
    time.sleep(delay_seconds)
    command.send_signal(signal.SIGINT)
    _, errors = command.communicate(timeout=60)
    # 0: it was faster.
    assert command.returncode in (-signal.SIGINT, 130, 0)
    assert "Traceback" not in errors
    assert "KeyboardInterrupt" not in errors


@pytest.mark.slow
def test_an_interrupted_job_accounts_for_its_rows_and_leaves_no_process(corpus: Corpus, tmp_path: Path) -> None:
    out = tmp_path / "prepared"
    # As a user does: the terminal sends Ctrl-C to the whole process group.
    job = subprocess.Popen(
        [
            *(sys.executable, "-m", "jobs.cli", "prepare", str(corpus.clips), "--out", str(out), *PUPPETS),
            *("--tracking-uri", tracking_uri(tmp_path / "mlflow.db"), "--set", "workers.default.actors=1"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while job.poll() is None and not list(out.glob("_parts/*.parquet")):
        time.sleep(0.02)
    children = psutil.Process(job.pid).children(recursive=True)
    assert any("models.video.child" in " ".join(child.cmdline()) for child in children)
    os.killpg(job.pid, signal.SIGINT)
    text, errors = job.communicate(timeout=60)
    assert job.returncode == 130
    assert text.splitlines()[-1].startswith("prepare: 3 rows in = ")
    assert text.splitlines()[-1].endswith("not run")
    assert errors == "error: interrupted; finished work is committed, and the same command continues\n"
    assert none_left(children)
