"""Decoding in a child process, which isolates crashes, hangs and memory use caused by a malicious file."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import logging
import mmap
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np

from models.video import messages
from models.video.audio import CHANNELS, Samples
from models.video.container import MediaLimits
from models.video.errors import MediaError
from models.video.inspection import Inspection
from models.video.probe import VideoInfo
from models.video.shots import Shot
from models.video.window import ClipWindow, DecodedClip

_START_TIMEOUT_SECONDS = 120.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class SandboxConfig:
    """Limits of the decoder process."""

    limits: MediaLimits = field(default_factory=MediaLimits)
    memory_bytes: int = 4 * 2**30
    """Address space beyond that used at start, including the frames of the clip."""
    inspect_timeout_seconds: float = 900.0
    """Maximum time to inspect a file, which reads all of its packets."""
    decode_timeout_seconds: float = 300.0
    """Maximum time to decode a clip."""
    max_calls: int = 500
    """Number of calls after which the process is replaced, to bound memory leaks of libraries."""


class DecoderProcess:
    """Reader of media files in a child process, started on the first call and restarted after it dies.

    Not thread-safe. The child dies with the thread that started it and leaves no resources behind: frames are returned
    in anonymous shared memory, which is freed with the last array that uses it.
    """

    def __init__(self, config: SandboxConfig | None = None) -> None:
        self.config = config or SandboxConfig()
        self._child: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None
        self._num_calls = 0

    @property
    def pid(self) -> int | None:
        """Process id of the child, if one is running."""
        return None if self._child is None else self._child.pid

    def inspect(self, path: str) -> Inspection:
        """`models.video.inspection.inspect` in the child.

        Raises:
            MediaError: the file cannot be used; Timeout, Crash or OutOfMemory if reading it ended the child.
        """
        reply, _ = self._call({"call": "inspect", "path": path}, self.config.inspect_timeout_seconds)
        fields = reply["inspection"]
        info = VideoInfo(**fields["info"])
        shots = tuple(Shot(**shot) for shot in fields["shots"])
        return Inspection(info=info, shots=shots, sha256=fields["sha256"])

    def decode(
        self,
        path: str,
        window: ClipWindow,
        *,
        short_side_px: int,
        multiple: int = 8,
        decoder: Literal["pyav", "decord"] = "pyav",
    ) -> DecodedClip:
        """`models.video.decode.decode_clip` in the child: frames of `window`, upright, at the working size.

        Raises:
            MediaError: the file cannot be used; Timeout, Crash or OutOfMemory if reading it ended the child.
        """
        request = {
            "call": "decode",
            "path": path,
            "window": dataclasses.asdict(window),
            "short_side_px": short_side_px,
            "multiple": multiple,
            "decoder": decoder,
        }
        reply, fd = self._call(request, self.config.decode_timeout_seconds)
        if fd is None:
            raise RuntimeError("the decoder process sent no frames with its reply")
        try:
            frames = _map_array(fd, tuple(reply["shape"]), (window.num_frames, None, None, 3), np.uint8)
        finally:
            os.close(fd)
        return DecodedClip(
            frames=frames,
            frame_seconds=np.array(reply["frame_seconds"], dtype=np.float64),
            num_source_frames=reply["num_source_frames"],
        )

    def frame_times(self, path: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        """`models.video.probe.frame_times` in the child: (N) timestamps of all frames.

        Raises:
            MediaError: the file cannot be used; Timeout, Crash or OutOfMemory if reading it ended the child.
        """
        reply, _ = self._call({"call": "frame_times", "path": path}, self.config.inspect_timeout_seconds)
        return np.array(reply["frame_seconds"], dtype=np.float64)

    def audio(self, path: str, *, start_seconds: float, duration_seconds: float) -> Samples | None:
        """`models.video.audio.read_audio` in the child.

        Raises:
            MediaError: the file cannot be used; Timeout, Crash or OutOfMemory if reading it ended the child.
        """
        request = {
            "call": "audio",
            "path": path,
            "start_seconds": start_seconds,
            "duration_seconds": duration_seconds,
        }
        reply, fd = self._call(request, self.config.decode_timeout_seconds)
        if fd is None:
            return None
        try:
            samples: Samples = _map_array(fd, tuple(reply["shape"]), (None, CHANNELS), np.int16)
        finally:
            os.close(fd)
        return samples

    def close(self) -> None:
        """Kill the child. The next call starts a new one."""
        if self._link is not None:
            self._link.close()
            self._link = None
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def __enter__(self) -> DecoderProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, request: dict[str, Any], timeout_seconds: float) -> tuple[dict[str, Any], int | None]:
        path = request["path"]
        request["limits"] = dataclasses.asdict(self.config.limits)
        if self._num_calls >= self.config.max_calls:
            self.close()
        if self._child is not None and self._child.poll() is not None:
            self.close()  # the child died between calls, so this file is not the cause
        link = self._link or self._start()
        self._num_calls += 1
        try:
            messages.send(link, request)
            reply, fd = messages.receive(link, deadline=time.monotonic() + timeout_seconds)
        except TimeoutError as error:
            self.close()
            text = f"reading {path} took more than {timeout_seconds:g} s, and was stopped"
            raise MediaError("Timeout", text) from error
        except (EOFError, ConnectionError) as error:
            raise self._crash(path) from error
        except BaseException:
            self.close()  # interrupted between request and reply: the next reply would answer the wrong request
            raise
        if "traceback" in reply:
            raise RuntimeError(f"the decoder process failed on {path}:\n{reply['traceback']}")
        if "reason" in reply:
            if reply["reason"] == "OutOfMemory":
                self.close()
            raise MediaError(reply["reason"], reply["message"])
        return reply, fd

    def _start(self) -> socket.socket:
        """Start the child. It inherits one socket and standard error, but no other descriptors and no credentials."""
        ours, theirs = socket.socketpair()
        with theirs:
            arguments = [str(theirs.fileno()), str(os.getpid()), str(self.config.memory_bytes)]
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "models.video.child", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                # Ctrl-C reaches the terminal's process group: the parent alone decides on the child's end.
                process_group=0,
                env=_child_environment(),
            )
        self._link = ours
        self._num_calls = 0
        try:
            messages.receive(ours, deadline=time.monotonic() + _START_TIMEOUT_SECONDS)
        except (TimeoutError, EOFError, ConnectionError) as error:
            code = self._end()
            if code < 0 and not isinstance(error, TimeoutError):
                # By the kernel where memory runs out: the next start may succeed.
                name = signal.Signals(-code).name
                raise MediaError("Crash", f"the decoder process was killed as it started ({name})") from error
            text = "the decoder process does not start; what it wrote to standard error says why"
            raise RuntimeError(text) from error
        return ours

    def _crash(self, path: str) -> MediaError:
        code = self._end()
        cause = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        _log.warning("the decoder process died on %s: %s", path, cause)
        return MediaError("Crash", f"the decoder process died while reading {path} ({cause})")

    def _end(self) -> int:
        """End the child; returns its exit code, or 0 if it closed the socket but is still running."""
        assert self._child is not None
        try:
            code = self._child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            code = 0
        self.close()
        return code


def _child_environment() -> dict[str, str]:
    """Minimal environment; one thread per numeric library, as thread stacks use memory.

    The import path is this process's, after this project: the path may have other packages of the same names.
    """
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "LANG") if name in os.environ}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    entries = [str(Path(__file__).resolve().parents[2]), *(entry or str(Path.cwd()) for entry in sys.path)]
    return {**kept, **threads, "PYTHONPATH": os.pathsep.join(entries)}


def _map_array(fd: int, shape: tuple[int, ...], expected: tuple[int | None, ...], dtype: type[Any]) -> Any:
    """Map the shared memory `fd` as an array. Sealed first: if the child shrank it, access would raise SIGBUS."""
    with contextlib.suppress(PermissionError):
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    fits = len(shape) == len(expected) and all(want in (None, got) for got, want in zip(shape, expected, strict=True))
    if not fits or os.fstat(fd).st_size != size:
        stored = os.fstat(fd).st_size
        raise RuntimeError(f"the decoder process sent {stored} bytes of shape {shape}, expected {expected}")
    return np.frombuffer(mmap.mmap(fd, size), dtype=dtype).reshape(shape)
