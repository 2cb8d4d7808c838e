"""Rows of clips with values that no `ingest` writes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stages.io.clip_reader import DecodeConfig
from stages.outcome import BadRow
from stages.prepare.decode import DecodeStage

ODD: list[tuple[str, Any, str]] = [
    *(
        ("start_seconds", value, "InvalidRow")
        for value in (math.nan, math.inf, -math.inf, 1e300, -1e300, 1e18, None, "1")
    ),
    *(("start_seconds", value, "MissingFrames") for value in (-5.0, 99.0)),
    *(("num_frames", value, "InvalidRow") for value in (0, -1, -(2**31), None, math.nan, [3])),
    *(("num_frames", value, "MissingFrames") for value in (9, 1000)),
    *(("num_frames", value, "TooLarge") for value in (10**7, 2**31 - 1)),
    *(("frame_step", value, "InvalidRow") for value in (0, -1, None, 2**62)),
    ("frame_step", 2**31 - 1, "MissingFrames"),
    *(("fps", value, "InvalidRow") for value in (0.0, -24.0, math.nan, math.inf, 5e-324, 1e-300, None, "fast")),
    ("fps", 1e-9, "MissingFrames"),
    *(("size_bytes", value, "SourceChanged") for value in (0, -1, 2**62)),
    *(
        ("uri", value, "InvalidRow")
        for value in (None, "", " ", 7, ["/a.mp4"], "/" + "x" * 10_000, "file://host/a.mp4")
    ),
    *(
        ("uri", value, "NotAllowed")
        for value in ("a\0b", "/a\nb", "http://[", "foo://[", "a::b", "/../a.mp4", "data://x")
    ),
    *(("uri", value, "NotFound") for value in ("data:x", "/\U0001f600.mp4")),
    *(("uri", value, "UnreadableSource") for value in ("/tmp", "/dev/zero", "/" + "x" * 300)),
]


@pytest.fixture(scope="module")
def stage() -> Iterator[DecodeStage]:
    opened = DecodeStage(DecodeConfig(short_side_px=32))
    opened.open()
    yield opened
    opened.close()


def clip(path: Path) -> dict[str, Any]:
    whole = {"start_seconds": 0.0, "num_frames": 6, "frame_step": 1, "fps": 8.0}
    return {"uri": str(path), "fingerprint": "sha256:0", "size_bytes": None, **whole}


@pytest.mark.parametrize(("name", "value", "reason"), ODD)
def test_each_odd_value_has_a_named_outcome(
    stage: DecodeStage, driving: Path, name: str, value: Any, reason: str
) -> None:
    with pytest.raises(BadRow) as caught:
        stage.process({**clip(driving), name: value})
    assert caught.value.reason == reason
    assert len(caught.value.message) < 600


@pytest.mark.parametrize(("name", "value"), [("fps", 1e300), ("start_seconds", 5e-324), ("fingerprint", "x" * 100_000)])
def test_values_that_are_odd_but_valid(stage: DecodeStage, driving: Path, name: str, value: Any) -> None:
    assert len(stage.process({**clip(driving), name: value})["frames"]) == 6
