from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import hostile_media as media
import numpy as np
import pytest

from stages.outcome import BadRow, Reason
from stages.prepare.decode import DecodeConfig, DecodeStage


@pytest.fixture(scope="module")
def stage() -> Iterator[DecodeStage]:
    made = DecodeStage(DecodeConfig(short_side_px=32))
    made.open()
    yield made
    made.close()


@pytest.fixture
def row(tmp_path) -> dict:
    path = media.encode(tmp_path / "a.mp4", media.numbered_frames(24))
    return {
        "uri": str(path),
        "size_bytes": path.stat().st_size,
        "fingerprint": "sha256:0",
        "start_seconds": 4 / 25,
        "num_frames": 6,
        "frame_step": 3,
        "fps": 25.0,
    }


def test_a_row_gets_its_frames(stage, row):
    made = stage(row)
    assert made["frames"].shape == (6, 32, 48, 3)
    assert made["frames"].dtype == np.uint8
    assert [media.read_number(frame) for frame in made["frames"]] == [4, 7, 10, 13, 16, 19]
    np.testing.assert_allclose(made["frame_seconds"], np.arange(4, 20, 3) / 25)
    assert (made["work_width_px"], made["work_height_px"]) == (48, 32)
    assert stage.transient == {"frames"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"size_bytes": 1}, Reason.SOURCE_CHANGED),
        ({"start_seconds": 5.0}, Reason.MISSING_FRAMES),
        ({"num_frames": 60}, Reason.MISSING_FRAMES),
        ({"num_frames": 10**9}, Reason.TOO_LARGE),
        ({"num_frames": 0}, Reason.INVALID_ROW),
        ({"fps": 0.0}, Reason.INVALID_ROW),
        ({"fps": None}, Reason.INVALID_ROW),
        ({"start_seconds": float("nan")}, Reason.INVALID_ROW),
        ({"uri": "http://169.254.169.254/latest"}, Reason.NOT_ALLOWED),
        ({"uri": "/nowhere/a.mp4"}, Reason.NOT_FOUND),
    ],
)
def test_what_is_wrong_with_the_row_is_the_outcome(stage, row, change, reason):
    with pytest.raises(BadRow) as caught:
        stage({**row, **change})
    assert caught.value.reason == reason


def test_a_file_that_kills_the_decoder_costs_one_row(stage, row):
    stage(row)
    pid = stage.reader.decoder.pid
    os.kill(pid, signal.SIGSTOP)  # so that the kill comes in the middle of the call
    threading.Timer(0.2, os.kill, (pid, signal.SIGKILL)).start()
    with pytest.raises(BadRow) as caught:
        stage(row)
    assert caught.value.reason == Reason.CRASH
    assert stage(row)["frames"].shape == (6, 32, 48, 3)
    assert stage.reader.decoder.pid != pid


@pytest.mark.parametrize("change", [{"short_side_px": 4}, {"multiple": 0}, {"decoder": "ffmpeg"}])
def test_settings_are_checked(change):
    with pytest.raises(ValueError, match="expected"):
        DecodeConfig(**change)
