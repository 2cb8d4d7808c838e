from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from models.puppets import render, sample_spec
from models.video.encode import write_h264


def _frames(count: int = 6, height: int = 48, width: int = 64) -> list[np.ndarray]:
    y, x = np.mgrid[0:height, 0:width]
    return [
        np.stack(((4 * x + 9 * i) % 256, (3 * y) % 256, np.full_like(x, 20 * i)), axis=-1).astype(np.uint8)
        for i in range(count)
    ]


def _decode(path: Path) -> tuple[list[np.ndarray], list[float]]:
    with av.open(str(path)) as container:
        decoded = list(container.decode(video=0))
    return [frame.to_ndarray(format="rgb24") for frame in decoded], [frame.time for frame in decoded]


def test_frames_come_back_in_order_and_in_colour(tmp_path: Path) -> None:
    frames = _smooth(_frames())
    assert write_h264(tmp_path / "a.mp4", iter(frames), fps=8, crf=10) == 6
    decoded, times = _decode(tmp_path / "a.mp4")
    assert times == [i / 8 for i in range(6)]
    for ours, theirs in zip(frames, decoded, strict=True):
        assert np.abs(ours.astype(int) - theirs).mean() < 6


def _smooth(frames: list[np.ndarray]) -> list[np.ndarray]:
    """Slow gradients, which chroma subsampling keeps."""
    return [np.clip(frame.astype(int) // 4 + 60, 0, 255).astype(np.uint8) for frame in frames]


def test_encoding_is_deterministic_whatever_is_in_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    spec = sample_spec(5_000_000, body="human", size_px=(96, 72), duration_seconds=1.0)
    frames = [frame.rgb for frame in render(spec, 8, 8)]
    contents = set()
    for _ in range(12):
        litter = [rng.integers(0, 255, int(size), dtype=np.uint8) for size in rng.integers(1_000, 3_000_000, 60)]
        del litter
        write_h264(tmp_path / "a.mp4", frames, fps=Fraction(30000, 1001))
        contents.add((tmp_path / "a.mp4").read_bytes())
    assert len(contents) == 1


def test_index_comes_before_the_frames(tmp_path: Path) -> None:
    write_h264(tmp_path / "a.mp4", _frames(), fps=8)
    content = (tmp_path / "a.mp4").read_bytes()
    assert 0 < content.find(b"moov") < content.find(b"mdat")


def test_timestamps_are_kept(tmp_path: Path) -> None:
    expected = [0.5, 0.6, 1.25, 3.0]
    write_h264(tmp_path / "a.mp4", _frames(4), fps=10, timestamps_seconds=expected)
    assert _decode(tmp_path / "a.mp4")[1] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        ([], {}, "no frames"),
        (_frames(1, 47, 64), {}, "even width and height"),
        (_frames(1, 48, 63), {}, "even width and height"),
        ([_frames(1)[0], _frames(1, 48, 32)[0]], {}, r"frame 1 is \(48, 32\)"),
        ([_frames(1)[0].astype(np.float32)], {}, "expected uint8"),
        ([_frames(1)[0][..., 0]], {}, "expected uint8"),
        (_frames(2), {"fps": 0}, "fps is 0"),
        (_frames(2), {"timestamps_seconds": [0.2, 0.2]}, "increase"),
        (_frames(2), {"timestamps_seconds": [-0.2, 0.2]}, "0 or more"),
        (_frames(2), {"timestamps_seconds": [0.1]}, "one per frame"),
        (_frames(2), {"timestamps_seconds": [0.1, 0.2, 0.3]}, "one timestamp per frame"),
    ],
)
def test_invalid_input_raises_an_error_and_leaves_no_file(
    tmp_path: Path, frames: list[np.ndarray], options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write_h264(tmp_path / "a.mp4", frames, **{"fps": 8, **options})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")

    def broken() -> object:
        yield _frames(1)[0]
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        write_h264(path, broken(), fps=8)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
