"""Kinds of faults, inflicted on a running `ingest` at a moment that a seed decides."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import random
import resource
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
from faulted_ingest import end, named, processes_under, remove, run_ingest, start_ingest

Inflict = Callable[[random.Random, Path, Path], None]
"""Run the job on the videos (second argument) until the fault ends it, or despite the fault; raises `NoFaultError`."""

WORKER = "MapBatches(Worker)"
DECODER = "models.video.child"
MAX_TRIES = 4
LONGEST_DELAY_SECONDS = 1.0
FIRST_WORKER_SECONDS = 90.0
END_SECONDS = 120.0


class NoFaultError(AssertionError):
    """The job ended before the fault."""


# ── faults of workers, on the cluster of the tests ──────────────────────────────────────────────────────────────────


def _on_workers(part: str, strike: Callable[[psutil.Process, random.Random], None]) -> Inflict:
    """A fault of one process of the workers, whose command line holds `part`."""

    def broken(rng: random.Random, videos: Path, out: Path, delay_seconds: float) -> bool:
        struck, ended = threading.Event(), threading.Event()

        def strike_once() -> None:
            _wait_for(lambda: named(processes_under(os.getpid()), part), until=ended.is_set)
            time.sleep(delay_seconds)
            victims = named(processes_under(os.getpid()), part)
            if victims and not ended.is_set():
                with contextlib.suppress(psutil.NoSuchProcess):
                    strike(rng.choice(victims), rng)
                    struck.set()

        thread = threading.Thread(target=strike_once, daemon=True)
        thread.start()
        with contextlib.suppress(OSError, RuntimeError):  # a one-line error of the job, which is then continued
            run_ingest(videos, out)
        ended.set()
        thread.join()
        return struck.is_set()

    return _until_struck(broken)


def _until_struck(broken: Callable[[random.Random, Path, Path, float], bool]) -> Inflict:
    """Run `broken`, with a shorter delay each time, until the fault came before the end of the job."""

    def inflict(rng: random.Random, videos: Path, out: Path) -> None:
        for attempt in range(MAX_TRIES):
            if broken(rng, videos, out, rng.uniform(0, LONGEST_DELAY_SECONDS) / 2**attempt):
                return
            remove(out)
        raise NoFaultError(f"{MAX_TRIES} jobs ended before their fault")

    return inflict


def _signal(number: int) -> Callable[[psutil.Process, random.Random], None]:
    return lambda process, _: process.send_signal(number)


def _limit_files(process: psutil.Process, rng: random.Random) -> None:
    """No file of this process may grow beyond so many bytes, as on a disk that has no more room."""
    _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (rng.randrange(2000), hard))


# ── faults of the driver and its cluster, in a process of their own ─────────────────────────────────────────────────


def _on_command(strike: Callable[[int, Path, random.Random], None]) -> Inflict:
    """A fault of the command or of its own cluster; the command must end in time, and without a traceback."""

    def broken(rng: random.Random, videos: Path, out: Path, delay_seconds: float) -> bool:
        command = start_ingest(videos, out)
        family: list[psutil.Process] = []
        try:
            _wait_for(lambda: named(processes_under(command.pid), WORKER), until=lambda: command.poll() is not None)
            family = processes_under(command.pid)
            time.sleep(delay_seconds)
            struck = command.poll() is None
            if struck:
                strike(command.pid, out, rng)
            _, err = command.communicate(timeout=END_SECONDS)
        finally:
            command.kill()
            command.wait()
            end(family, within_seconds=20.0)
        assert "Traceback" not in err, err[-2000:]
        return struck

    return _until_struck(broken)


def _kill_driver(pid: int, out: Path, rng: random.Random) -> None:
    os.kill(pid, signal.SIGKILL)


def _kill_named(part: str) -> Callable[[int, Path, random.Random], None]:
    def strike(pid: int, out: Path, rng: random.Random) -> None:
        for process in named(processes_under(pid), part)[:1]:
            process.kill()

    return strike


def _cut_a_part(pid: int, out: Path, rng: random.Random) -> None:
    """A power failure: the driver dies, and the last committed file has lost its end."""
    committed: list[Path] = []
    _wait_for(lambda: committed.extend(out.glob("videos/_parts/*.parquet")) or committed, until=lambda: False)
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)  # workers may still commit
    parts = sorted(out.glob("videos/_parts/*.parquet"), key=lambda path: path.stat().st_mtime)
    if parts:
        os.truncate(parts[-1], rng.randrange(parts[-1].stat().st_size))


def _with_rpc_failures(rng: random.Random, videos: Path, out: Path) -> None:
    """Requests and replies between Ray's processes are lost, at least one of them."""
    methods = (
        "CoreWorkerService.grpc_client.PushTask",
        "NodeManagerService.grpc_client.RequestWorkerLease",
        "CoreWorkerService.grpc_client.GetObjectStatus",
        "ActorInfoGcsService.grpc_client.CreateActor",
    )
    for attempt in range(MAX_TRIES):
        percent = min(100, rng.randint(5, 25) * 2**attempt)
        lost = {"num_failures": rng.randint(5, 30), "req_failure_prob": percent, "resp_failure_prob": 10}
        if _run_with_rpc_failures({f"ray::rpc::{name}": lost for name in methods}, videos, out):
            return
        remove(out)
    raise NoFaultError(f"no message was lost in {MAX_TRIES} jobs")


def _run_with_rpc_failures(failures: Mapping[str, object], videos: Path, out: Path) -> bool:
    """Whether Ray's logs say that a message was lost."""
    # A short path: sockets lie in this folder.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as logs:
        # Lost messages are logged as information, which the command switches off by default.
        environment = {"RAY_testing_rpc_failure": json.dumps(failures), "RAY_BACKEND_LOG_LEVEL": "info"}
        command = start_ingest(videos, out, RAY_TMPDIR=logs, **environment)
        try:
            _, err = command.communicate(timeout=END_SECONDS)
        finally:
            family = processes_under(command.pid)
            command.kill()
            command.wait()
            end(family, within_seconds=20.0)
        assert "Traceback" not in err, err[-2000:]
        written = [path for path in Path(logs).rglob("*") if path.suffix in (".log", ".out", ".err")]
        return any(b"Inject RPC re" in path.read_bytes() for path in written if path.is_file())


# ── faults of services ──────────────────────────────────────────────────────────────────────────────────────────────


class _Refusing(http.server.BaseHTTPRequestHandler):
    """A server that is up and answers 503."""

    def do_GET(self) -> None:
        self.send_error(503)

    do_POST = do_GET

    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def _tracking_that_is_down(rng: random.Random) -> Iterator[str]:
    """URI of a tracking server that refuses connections, or answers 503."""
    if rng.random() < 0.5:
        with socket.socket() as unused:  # bound, but it does not listen
            unused.bind(("127.0.0.1", 0))
            yield f"http://127.0.0.1:{unused.getsockname()[1]}"
        return
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def _with_tracking_down(rng: random.Random, videos: Path, out: Path) -> None:
    with _tracking_that_is_down(rng) as uri:
        assert run_ingest(videos, out, tracking=uri).exit_code == 0


def _wait_for(condition: Callable[[], object], *, until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + FIRST_WORKER_SECONDS
    while not condition() and not until() and time.monotonic() < deadline:
        time.sleep(0.02)


KINDS: Mapping[str, Inflict] = {
    "worker killed": _on_workers(WORKER, _signal(signal.SIGKILL)),
    "worker crashes": _on_workers(WORKER, _signal(signal.SIGSEGV)),
    "worker stopped": _on_workers(WORKER, _signal(signal.SIGSTOP)),
    "decoder killed for its memory": _on_workers(DECODER, _signal(signal.SIGKILL)),
    "decoder hangs": _on_workers(DECODER, _signal(signal.SIGSTOP)),
    "disk full": _on_workers(WORKER, _limit_files),
    "driver killed": _on_command(_kill_driver),
    "raylet killed": _on_command(_kill_named("raylet/raylet")),
    "GCS killed": _on_command(_kill_named("gcs_server")),
    "messages lost": _with_rpc_failures,
    "committed file cut": _on_command(_cut_a_part),
    "tracking server down": _with_tracking_down,
}
"""Faults by name."""
