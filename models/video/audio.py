"""Audio of a part of a video."""

from __future__ import annotations

import math

import av
import numpy as np
from numpy.typing import NDArray

from models.video.container import AUDIO_DECODERS, MediaLimits, open_container
from models.video.errors import MediaError

SAMPLE_RATE_HZ = 48_000
CHANNELS = 2

Samples = NDArray[np.int16]
"""(S, 2) stereo at `SAMPLE_RATE_HZ`."""


def read_audio(path: str, *, start_seconds: float, duration_seconds: float, limits: MediaLimits) -> Samples | None:
    """Decode the best audio stream from `start_seconds` on; None if the file has no audio stream.

    `start_seconds` is a presentation timestamp of the file. The result is exactly `duration_seconds` long, rounded to a
    sample, and silent where the file has no audio.

    Raises:
        MediaError: UnsupportedCodec, TooLarge, or DecodeError.
    """
    num_samples = round(duration_seconds * SAMPLE_RATE_HZ)
    if num_samples * 2 * CHANNELS > limits.max_clip_bytes:
        raise MediaError("TooLarge", f"{path}: {duration_seconds:.0f} s of sound are more than allowed")
    with open_container(path, limits, {"codec_whitelist": ",".join(AUDIO_DECODERS)}) as (container, _):
        stream = container.streams.best("audio")
        if stream is None:
            return None
        codec = stream.codec_context
        if codec is None or codec.name not in AUDIO_DECODERS:
            name = codec.name if codec else "an unknown codec"
            raise MediaError("UnsupportedCodec", f"the sound of {path} is coded as {name}")
        stream.thread_type = "NONE"
        # One second early: audio decoders need a few packets of pre-roll.
        container.seek(math.floor((start_seconds - 1.0) / stream.time_base), stream=stream)
        samples: Samples = np.zeros((num_samples, CHANNELS), np.int16)
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=SAMPLE_RATE_HZ)
        for frame in container.decode(stream):
            if frame.time is not None and frame.time >= start_seconds + duration_seconds:
                break
            for part in resampler.resample(frame):
                _insert(samples, part.to_ndarray().reshape(-1, CHANNELS), part.time, start_seconds)
    return samples


def _insert(samples: Samples, part: Samples, part_seconds: float | None, start_seconds: float) -> None:
    """Copy `part` to its time in `samples`, cropped to the range of `samples`."""
    if part_seconds is None:
        return
    offset = round((part_seconds - start_seconds) * SAMPLE_RATE_HZ)
    first, last = max(offset, 0), min(offset + len(part), len(samples))
    if first < last:
        samples[first:last] = part[first - offset : last - offset]
