"""Entry point of the decoder process that `models.video.sandbox` starts. It reads one file at a time.

Run as `python -m models.video.child SOCKET_FD PARENT_PID MEMORY_BYTES`. Linux only.
"""

from __future__ import annotations

import ctypes
import dataclasses
import faulthandler
import mmap
import os
import resource
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from models.video import messages
from models.video.audio import read_audio
from models.video.container import MediaLimits
from models.video.decoders import DECODERS
from models.video.errors import MediaError
from models.video.inspection import inspect
from models.video.probe import frame_times
from models.video.window import ClipWindow, Frames

_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Answer requests until the parent closes the socket."""
    socket_fd, parent_pid, memory_bytes = (int(argument) for argument in sys.argv[1:4])
    _confine(parent_pid, memory_bytes)
    link = socket.socket(fileno=socket_fd)
    messages.send(link, {"ready": True})
    while True:
        try:
            request, _ = messages.receive(link)
        except EOFError:
            return 0
        reply, fd = _answer(request)
        messages.send(link, reply, fd)
        if fd is not None:
            os.close(fd)


def _confine(parent_pid: int, memory_bytes: int) -> None:
    """Limit the process: it dies with its parent, writes no core dump, and may allocate `memory_bytes` more memory."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:  # the parent died before the call above
        sys.exit(1)
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used_bytes = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used_bytes + memory_bytes, used_bytes + memory_bytes))


def _answer(request: dict[str, Any]) -> tuple[dict[str, Any], int | None]:
    """Reply to one request, and the file descriptor of the shared memory with its frames or samples."""
    try:
        limits = MediaLimits(**request["limits"])
        if request["call"] == "inspect":
            return {"inspection": dataclasses.asdict(inspect(request["path"], limits))}, None
        if request["call"] == "frame_times":
            return {"frame_seconds": frame_times(request["path"], limits).tolist()}, None
        if request["call"] == "audio":
            return _audio(request, limits)
        return _decode(request, limits)
    except MediaError as error:
        return {"reason": error.reason, "message": error.message}, None
    except MemoryError:
        return {"reason": "OutOfMemory", "message": f"no memory left to read {request['path']}"}, None
    except Exception:  # noqa: BLE001 (a bug: the parent raises it with this traceback)
        return {"traceback": traceback.format_exc()}, None


def _decode(request: dict[str, Any], limits: MediaLimits) -> tuple[dict[str, Any], int]:
    """Decode into anonymous shared memory; its file descriptor goes to the parent."""
    fds: list[int] = []

    def allocate(shape: tuple[int, int, int, int]) -> Frames:
        while fds:
            os.close(fds.pop())
        fds.append(os.memfd_create("frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
        size = int(np.prod(shape))
        os.ftruncate(fds[0], size)
        try:
            memory = mmap.mmap(fds[0], size)
        except OSError as error:
            raise MediaError("OutOfMemory", f"no memory left for frames of {size} bytes") from error
        return np.frombuffer(memory, dtype=np.uint8).reshape(shape)

    try:
        clip = DECODERS[request["decoder"]](
            request["path"],
            ClipWindow(**request["window"]),
            short_side_px=request["short_side_px"],
            multiple=request["multiple"],
            limits=limits,
            allocate=allocate,
        )
    except BaseException:
        while fds:
            os.close(fds.pop())
        raise
    reply = {
        "shape": clip.frames.shape,
        "frame_seconds": clip.frame_seconds.tolist(),
        "num_source_frames": clip.num_source_frames,
    }
    return reply, fds[0]


def _audio(request: dict[str, Any], limits: MediaLimits) -> tuple[dict[str, Any], int | None]:
    samples = read_audio(
        request["path"],
        start_seconds=request["start_seconds"],
        duration_seconds=request["duration_seconds"],
        limits=limits,
    )
    if samples is None:
        return {"shape": None}, None
    fd = os.memfd_create("samples", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with os.fdopen(fd, "wb", closefd=False) as file:
        file.write(samples.tobytes())
    return {"shape": samples.shape}, fd


if __name__ == "__main__":
    sys.exit(main())
