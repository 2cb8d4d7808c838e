"""Messages between the decoder process and its parent: length-prefixed JSON with at most one file descriptor.

JSON instead of pickle: the decoder process reads untrusted files, and its messages must not execute code.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from typing import Any

_HEADER = struct.Struct("!I")
_MAX_BYTES = 64 * 2**20


def send(link: socket.socket, message: dict[str, Any], fd: int | None = None) -> None:
    """Send `message` with an optional file descriptor."""
    body = json.dumps(message).encode()
    link.settimeout(None)
    socket.send_fds(link, [_HEADER.pack(len(body))], [] if fd is None else [fd])
    link.sendall(body)


def receive(link: socket.socket, *, deadline: float | None = None) -> tuple[dict[str, Any], int | None]:
    """Receive the next message and its file descriptor, which the caller must close.

    Args:
        link: connected stream socket.
        deadline: `time.monotonic` time; None waits indefinitely.

    Raises:
        TimeoutError: the deadline passed.
        EOFError: the other side closed the connection.
    """
    _wait_until(link, deadline)
    header, fds, _, _ = socket.recv_fds(link, _HEADER.size, 1)
    fd = fds[0] if fds else None
    try:
        header += _receive_exactly(link, _HEADER.size - len(header), deadline) if header else b""
        if not header:
            raise EOFError("the other side closed the connection")
        (size,) = _HEADER.unpack(header)
        if size > _MAX_BYTES:
            raise EOFError(f"a message of {size} bytes was announced, {_MAX_BYTES} are allowed")
        message: dict[str, Any] = json.loads(_receive_exactly(link, size, deadline))
    except BaseException:
        if fd is not None:
            os.close(fd)
        raise
    return message, fd


def _receive_exactly(link: socket.socket, size: int, deadline: float | None) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        _wait_until(link, deadline)
        part = link.recv(size - len(parts))
        if not part:
            raise EOFError(f"the other side closed the connection after {len(parts)} of {size} bytes")
        parts += part
    return bytes(parts)


def _wait_until(link: socket.socket, deadline: float | None) -> None:
    """Set the timeout of the next read on `link` to `deadline`."""
    if deadline is None:
        link.settimeout(None)
        return
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the deadline has passed")
    link.settimeout(seconds)
