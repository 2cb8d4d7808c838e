"""Deterministic encoding of H.264 video in MP4 files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import Flags as CodecFlags
from numpy.typing import NDArray

from models.common.atomic import atomic_path
from models.video.audio import SAMPLE_RATE_HZ, Samples

_TICKS_PER_SECOND = 90_000
_MAX_FPS_DENOMINATOR = 1001
_BT601 = 6  # swscale's default matrix for RGB; stored in the file so that players convert back with the same one
_LIMITED_RANGE = 1
_AAC_BLOCK_SAMPLES = 1024
_AUDIO_BITS_PER_SECOND = 128_000
# With B-frames or a macroblock tree, x264's lookahead reads uninitialised memory, and the output differs between calls
# with the same frames. Without both, the output is deterministic.
_REPRODUCIBLE = {"bf": "0", "rc-lookahead": "0"}


def write_h264(
    path: Path | str,
    frames: Iterable[NDArray[np.uint8]],
    *,
    fps: Fraction | float,
    crf: int = 18,
    preset: str = "veryfast",
    timestamps_seconds: Sequence[float] | None = None,
    audio: Samples | None = None,
) -> int:
    """Write RGB frames as H.264 (yuv420p) in an MP4 with the index at the start. Returns the number of frames.

    `frames`: uint8 (H, W, 3), all of one even size. Frame i is shown at i / fps, or at `timestamps_seconds[i]` if given
    (rounded to 1/90000 s). `audio` starts with the first frame and is encoded as AAC. Deterministic and atomic.

    Raises:
        ValueError: no frames; a frame that is not uint8 (H, W, 3), of odd size, or of another size than the first; fps
            not positive; timestamps that are negative, do not increase, or are not one per frame.
    """
    path = Path(path)
    rate = Fraction(fps).limit_denominator(_MAX_FPS_DENOMINATOR)
    if rate <= 0:
        raise ValueError(f"fps is {fps}, expected a positive number")
    ticks = None if timestamps_seconds is None else _ticks(timestamps_seconds)
    with atomic_path(path) as temporary:
        return _encode(temporary, frames, rate=rate, crf=crf, preset=preset, ticks=ticks, audio=audio)


def _encode(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    *,
    rate: Fraction,
    crf: int,
    preset: str,
    ticks: list[int] | None,
    audio: Samples | None,
) -> int:
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart", "fflags": "+bitexact"}) as container:
        stream = container.add_stream(
            "libx264", rate=rate, options={"crf": str(crf), "preset": preset, **_REPRODUCIBLE}
        )
        codec = stream.codec_context
        codec.flags |= CodecFlags.bitexact
        codec.thread_count = 1  # x264's output depends on the number of threads
        codec.pix_fmt = "yuv420p"
        codec.time_base = 1 / rate if ticks is None else Fraction(1, _TICKS_PER_SECOND)
        codec.colorspace = codec.color_primaries = codec.color_trc = _BT601
        codec.color_range = _LIMITED_RANGE
        sound = _AudioWriter(container, audio) if audio is not None else None
        count = 0
        for rgb in frames:
            if count == 0:
                codec.height, codec.width = _even_size(rgb)
            _check(rgb, index=count, size=(codec.height, codec.width))
            if ticks is not None and count >= len(ticks):
                raise ValueError(f"got more than {len(ticks)} frames, but {len(ticks)} timestamps; give one per frame")
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
            frame.pts = count if ticks is None else ticks[count]
            frame.time_base = codec.time_base
            container.mux(stream.encode(frame))
            count += 1
            if sound is not None:
                sound.write_until(float(frame.pts * frame.time_base))
        if count == 0:
            raise ValueError("got no frames, expected at least one")
        if ticks is not None and count != len(ticks):
            raise ValueError(f"got {count} frames and {len(ticks)} timestamps; give one timestamp per frame")
        container.mux(stream.encode(None))
        if sound is not None:
            sound.finish()
    return count


class _AudioWriter:
    """Interleaves AAC audio with the video frames written so far."""

    def __init__(self, container: Any, samples: Samples) -> None:
        self.container = container
        self.samples = samples
        self.position = 0
        self.stream = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="stereo")
        self.stream.codec_context.flags |= CodecFlags.bitexact
        self.stream.codec_context.bit_rate = _AUDIO_BITS_PER_SECOND

    def write_until(self, seconds: float) -> None:
        while self.position < min(len(self.samples), seconds * SAMPLE_RATE_HZ):
            # AAC encodes blocks of this length; only the last may be shorter.
            block = self.samples[self.position : self.position + _AAC_BLOCK_SAMPLES]
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(block).reshape(1, -1), format="s16", layout="stereo"
            )
            frame.sample_rate = SAMPLE_RATE_HZ
            frame.time_base = Fraction(1, SAMPLE_RATE_HZ)
            frame.pts = self.position
            self.container.mux(self.stream.encode(frame))
            self.position += len(block)

    def finish(self) -> None:
        self.write_until(len(self.samples) / SAMPLE_RATE_HZ)
        self.container.mux(self.stream.encode(None))


def check_h264(path: Path | str, *, num_frames: int, size_px: tuple[int, int], has_audio: bool = False) -> None:
    """Verify a written file by decoding it completely.

    Args:
        path: the MP4 file.
        num_frames: expected number of frames.
        size_px: expected (height, width).
        has_audio: whether an audio stream is expected.

    Raises:
        RuntimeError: the file does not decode, or to other frames or audio than expected.
    """
    try:
        with av.open(str(path)) as container:
            sizes = [(frame.height, frame.width) for frame in container.decode(video=0) if not frame.is_corrupt]
            sound = bool(container.streams.audio)
        if sound:
            with av.open(str(path)) as container:
                sound = sum(frame.samples for frame in container.decode(audio=0)) > 0
    except av.error.FFmpegError as error:
        raise RuntimeError(f"{path}, just written, does not decode: {error}") from error
    if sizes != [size_px] * num_frames or sound != has_audio:
        got = f"{len(sizes)} frames of {sorted(set(sizes))}, sound: {sound}"
        raise RuntimeError(f"{path}, just written, has {got}; expected {num_frames} of {size_px}, sound: {has_audio}")


def _ticks(timestamps_seconds: Sequence[float]) -> list[int]:
    ticks = [round(seconds * _TICKS_PER_SECOND) for seconds in timestamps_seconds]
    if any(tick < 0 for tick in ticks) or any(b <= a for a, b in pairwise(ticks)):
        raise ValueError("timestamps_seconds must be 0 or more and increase from frame to frame")
    return ticks


def _even_size(rgb: NDArray[np.uint8]) -> tuple[int, int]:
    _check(rgb, index=0, size=rgb.shape[:2])
    height, width = rgb.shape[:2]
    if height % 2 or width % 2 or not height or not width:
        raise ValueError(
            f"frames are {width}x{height}; H.264 with 4:2:0 colour needs an even width and height: crop or resize them"
        )
    return height, width


def _check(rgb: NDArray[np.uint8], *, index: int, size: tuple[int, ...]) -> None:
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"frame {index} is {rgb.dtype} {rgb.shape}, expected uint8 (height, width, 3)")
    if rgb.shape[:2] != size:
        raise ValueError(
            f"frame {index} is {rgb.shape[:2]}, but the first is {size}; all frames need one (height, width)"
        )
