"""Windows of 16 successive frames, as DisCo's video networks read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

WINDOW_FRAMES = 16
BATCH_WINDOWS = 8


def windows(
    frames_THWC: NDArray[np.uint8], prepare: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
) -> Iterator[NDArray[np.float32]]:
    """Batches (N, C, 16, h, w) of the windows that begin at every frame which has 15 others behind it.

    DisCo (`gen_eval.sh`, on folders of frames) takes each of these windows as one video. A clip of fewer frames has
    none.

    `prepare`: makes (h, w, C) of a frame (H, W, C); called once per frame, so that memory does not grow with the clip.
    """
    prepared: list[NDArray[np.float32]] = []
    num_windows = len(frames_THWC) - WINDOW_FRAMES + 1
    for start in range(0, num_windows, BATCH_WINDOWS):
        stop = min(start + BATCH_WINDOWS, num_windows)
        kept = prepared[1 - WINDOW_FRAMES :]
        prepared = kept + [prepare(frame) for frame in frames_THWC[start + len(kept) : stop + WINDOW_FRAMES - 1]]
        views_NHWCT = sliding_window_view(np.stack(prepared), WINDOW_FRAMES, axis=0)
        yield np.ascontiguousarray(views_NHWCT.transpose(0, 3, 4, 1, 2))


def resized(frame_HWC: NDArray[np.uint8], size_px: int) -> NDArray[np.float32]:
    """Bicubic, antialiased resizing of each channel in float32 by Pillow: neither rounded nor clipped."""
    channels = [
        np.asarray(
            Image.fromarray(frame_HWC[..., index].astype(np.float32)).resize(
                (size_px, size_px), Image.Resampling.BICUBIC
            )
        )
        for index in range(frame_HWC.shape[-1])
    ]
    return np.stack(channels, axis=-1)
