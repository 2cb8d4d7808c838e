"""Clip decoding with decord (the extra `decord`), for comparison and for pipelines built on its pixels.

decord does not report damage: frames that PyAV marks as corrupt are returned like intact ones. Only files that it
cannot read at all raise an error. It prints most errors to standard error only.
"""

from __future__ import annotations

import numpy as np

from models.video.container import MediaLimits, open_video
from models.video.decode import frames_on_display
from models.video.errors import MediaError
from models.video.probe import probe
from models.video.timeline import read_timeline
from models.video.window import AllocateFrames, ClipWindow, DecodedClip, allocate_array, check_clip_bytes, working_size

_BATCH_FRAMES = 8
"""Frames per batch: decord's time per frame is several times higher with large batches."""


def decode_clip_decord(
    path: str,
    window: ClipWindow,
    *,
    short_side_px: int,
    multiple: int,
    limits: MediaLimits,
    allocate: AllocateFrames = allocate_array,
) -> DecodedClip:
    """Decode the frames of `window`, rotated upright and resized to the working size; timestamps are PyAV's.

    Raises:
        MediaError: the file cannot be read, needs a conversion that decord does not make (tone mapping, deinterlacing,
            mirroring), or has no frame for a sample time of the window. Not raised for damaged frames.
        ModuleNotFoundError: decord is not installed.
    """
    import decord

    info = probe(path, limits)
    if unsupported := set((info.frame_conversion or "").split("+")) - {"", "bt709-assumed"}:
        text = f"decord does not make frames of {path} {' or '.join(sorted(unsupported))}; use the decoder pyav"
        raise MediaError("UnsupportedCodec", text)
    with open_video(path, limits) as video:
        timeline = read_timeline(video, limits, until_ticks=2**62)
    shown_ticks = timeline.shown_ticks()
    ranks = frames_on_display(path, window, timeline)
    width, height = working_size(info.width_px, info.height_px, short_side_px=short_side_px, multiple=multiple)
    check_clip_bytes(window, width, height, limits)
    frames = allocate((window.num_frames, height, width, 3))
    try:
        reader = decord.VideoReader(path, num_threads=1, width=width, height=height)
        if len(reader) != len(shown_ticks):
            text = f"decord finds {len(reader)} frames in {path}, there are {len(shown_ticks)}"
            raise MediaError("MissingFrames", text)
        for first in range(0, window.num_frames, _BATCH_FRAMES):
            places = slice(first, first + _BATCH_FRAMES)
            frames[places] = reader.get_batch(ranks[places].tolist()).asnumpy()
    except (RuntimeError, decord.DECORDError) as error:
        raise MediaError("DecodeError", f"decord cannot decode {path}: {str(error).splitlines()[0]}") from error
    return DecodedClip(
        frames=frames,
        frame_seconds=shown_ticks[ranks].astype(np.float64) * timeline.tick_seconds,
        num_source_frames=int(ranks[-1] - ranks[0]) + 1,
    )
