from __future__ import annotations

import os
import socket
import struct
import threading
import time

import pytest

from models.video import messages


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_message_and_a_descriptor_arrive(pair):
    ours, theirs = pair
    read, write = os.pipe()
    messages.send(ours, {"text": "ä" * 1000, "number": 0.1}, write)
    message, fd = messages.receive(theirs)
    assert message == {"text": "ä" * 1000, "number": 0.1}
    os.write(fd, b"through")
    assert os.read(read, 10) == b"through"
    for each in (read, write, fd):
        os.close(each)
    messages.send(ours, {})
    assert messages.receive(theirs) == ({}, None)


def test_a_long_message_arrives_whole(pair):
    ours, theirs = pair
    long = {"values": list(range(200_000))}
    sender = threading.Thread(target=messages.send, args=(ours, long))
    sender.start()
    assert messages.receive(theirs, deadline=time.monotonic() + 20) == (long, None)
    sender.join()


def test_the_deadline_applies_within_a_message(pair):
    ours, theirs = pair
    for started in (b"", b"\0", struct.pack("!I", 100) + b"{"):
        ours.sendall(started)
        with pytest.raises(TimeoutError):
            messages.receive(theirs, deadline=time.monotonic() + 0.05)


@pytest.mark.parametrize("sent", [b"", b"\0\0", struct.pack("!I", 100) + b"{", struct.pack("!I", 2**31)])
def test_a_closed_connection_or_an_oversized_message_is_an_error(pair, sent):
    ours, theirs = pair
    ours.sendall(sent)
    ours.close()
    with pytest.raises(EOFError):
        messages.receive(theirs, deadline=time.monotonic() + 5)
