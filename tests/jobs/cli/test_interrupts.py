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
