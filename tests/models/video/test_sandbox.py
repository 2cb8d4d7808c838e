from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from models.video.container import MediaLimits
from models.video.decode import decode_clip
from models.video.errors import MediaError
from models.video.inspection import inspect
from models.video.sandbox import DecoderProcess, SandboxConfig
from models.video.window import ClipWindow

WINDOW = ClipWindow(start_seconds=0, num_frames=36, frame_step=1, fps=25)


@pytest.fixture(scope="module")
def plain(cases) -> str:
    return str(cases["plain"].path)


def gone(pid: int, *, within_seconds: float = 5) -> bool:
    """Whether the process ends (a zombie has ended)."""
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def test_the_child_gives_the_same_result_as_this_process(decoder, plain):
    assert decoder.inspect(plain) == inspect(plain, MediaLimits())
    ours = decode_clip(plain, WINDOW, short_side_px=32, multiple=8, limits=MediaLimits())
    theirs = decoder.decode(plain, WINDOW, short_side_px=32)
    np.testing.assert_array_equal(ours.frames, theirs.frames)
    np.testing.assert_array_equal(ours.frame_seconds, theirs.frame_seconds)


def test_frames_stay_valid_after_later_calls(decoder, plain):
    first = decoder.decode(plain, WINDOW, short_side_px=64)
    copy = first.frames.copy()
    decoder.decode(plain, ClipWindow(start_seconds=0.4, num_frames=36 - 10, frame_step=1, fps=25), short_side_px=64)
    np.testing.assert_array_equal(first.frames, copy)
    first.frames[:] = 0
    with DecoderProcess() as other:
        second = other.decode(plain, WINDOW, short_side_px=64)
    np.testing.assert_array_equal(second.frames, copy)


def test_nothing_is_left_open_or_in_memory(decoder, plain):
    decoder.decode(plain, WINDOW, short_side_px=64)
    gc.collect()
    ours, theirs = psutil.Process(), psutil.Process(decoder.pid)
    before = (ours.num_fds(), theirs.num_fds())
    for _ in range(20):
        decoder.decode(plain, WINDOW, short_side_px=64)
        with pytest.raises(MediaError):
            decoder.decode("/nowhere", WINDOW, short_side_px=64)
    gc.collect()
    assert (ours.num_fds(), theirs.num_fds()) == before
    assert not any("memfd:frames" in region.path for region in ours.memory_maps())


def test_the_child_inherits_no_descriptors_or_secrets(plain, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    with (tmp_path / "open").open("w") as held, DecoderProcess() as process:
        os.set_inheritable(held.fileno(), True)
        process.inspect(plain)
        child = psutil.Process(process.pid)
        assert "AWS_SECRET_ACCESS_KEY" not in child.environ()
        assert not any(file.path == held.name for file in child.open_files())
        assert child.num_fds() == 4  # standard input, output and error, and one socket
        assert Path(f"/proc/{child.pid}/fd/0").readlink() == Path("/dev/null")
        maps = {Path(region.path).name for region in child.memory_maps()}
        assert not any(name.startswith(("libtorch", "libcv", "cv2")) for name in maps)
        assert child.rlimit(psutil.RLIMIT_CORE) == (0, 0)


def test_killed_in_the_middle_of_a_call(plain):
    with DecoderProcess() as process:
        process.inspect(plain)
        first = process.pid
        for name in ("SIGKILL", "SIGSEGV"):
            pid = process.pid
            os.kill(pid, signal.SIGSTOP)  # so that the call is still going on
            threading.Timer(
                0.2, lambda pid=pid, name=name: (os.kill(pid, getattr(signal, name)), os.kill(pid, 18))
            ).start()
            with pytest.raises(MediaError, match=rf"died while reading .* \({name}\)") as caught:
                process.decode(plain, WINDOW, short_side_px=64)
            assert caught.value.reason == "Crash"
            assert process.decode(plain, WINDOW, short_side_px=64).frames.shape == (36, 64, 96, 3)
        assert process.pid != first


def test_a_hung_child_is_killed_after_the_timeout(plain):
    config = SandboxConfig(decode_timeout_seconds=0.3)
    with DecoderProcess(config) as process:
        process.inspect(plain)
        pid = process.pid
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(MediaError, match=r"took more than 0.3 s") as caught:
            process.decode(plain, WINDOW, short_side_px=64)
        assert caught.value.reason == "Timeout"
        assert gone(pid)
        assert len(process.inspect(plain).shots) == 1


def test_out_of_memory(media, tmp_path, plain):
    large = str(media.encode(tmp_path / "a.mp4", [np.zeros((2160, 3840, 3), dtype=np.uint8)] * 2))
    window = ClipWindow(start_seconds=0, num_frames=2, frame_step=1, fps=25)
    with DecoderProcess(SandboxConfig(memory_bytes=24 * 2**20)) as process:
        for _ in range(2):
            with pytest.raises(MediaError) as caught:
                process.decode(large, window, short_side_px=2160)
            assert caught.value.reason == "OutOfMemory"
        assert process.decode(plain, WINDOW, short_side_px=64).frames.shape == (36, 64, 96, 3)
    with DecoderProcess() as process:
        assert process.decode(large, window, short_side_px=2160).frames.shape == (2, 2160, 3840, 3)


def test_a_child_that_died_between_calls_is_replaced_silently(plain):
    with DecoderProcess() as process:
        process.inspect(plain)
        os.kill(process.pid, signal.SIGKILL)
        assert gone(process.pid)
        process.inspect(plain)


def test_the_child_is_replaced_after_max_calls(plain):
    with DecoderProcess(SandboxConfig(max_calls=2)) as process:
        pids = []
        for _ in range(5):
            process.decode(plain, WINDOW, short_side_px=64)
            pids.append(process.pid)
    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4]
    assert all(gone(pid) for pid in pids)


def test_the_child_dies_with_its_parent(plain):
    code = (
        "import sys, time; from models.video.sandbox import DecoderProcess\n"
        f"process = DecoderProcess(); process.inspect({plain!r}); print(process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3])
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert psutil.pid_exists(pid)
    os.kill(pid, signal.SIGSTOP)  # even if it is hung
    parent.kill()
    parent.communicate()
    assert gone(pid)


def test_a_child_killed_as_it_starts_is_a_crash_which_can_be_retried(plain, monkeypatch, tmp_path):
    killed = tmp_path / "killed"
    killed.write_text("#!/bin/sh\nkill -KILL $$\n")
    killed.chmod(0o755)
    with DecoderProcess() as process:
        with monkeypatch.context() as patched:
            patched.setattr(sys, "executable", str(killed))
            with pytest.raises(MediaError, match=r"Crash: .*as it started \(SIGKILL\)"):
                process.inspect(plain)
        assert process.inspect(plain) == inspect(plain, MediaLimits())


def test_a_child_that_cannot_start_is_no_media_error(plain, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with DecoderProcess() as process, pytest.raises(RuntimeError, match="does not start"):
        process.inspect(plain)


def test_a_bug_in_the_child_is_raised_with_its_traceback(decoder, plain):
    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*KeyError: 'no such decoder'"):
        decoder.decode(plain, WINDOW, short_side_px=64, decoder="no such decoder")
    decoder.inspect(plain)
