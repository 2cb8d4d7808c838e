"""The video of a model that keeps the scene, from the driving video at its own size, a few frames at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from models.compositing.paste import DEFAULT_REACH, paste, paste_weight, reach_of, silhouettes
from models.compositing.scene import resized
from stages.base import Row
from stages.io.clip_reader import ClipReader
from stages.outcome import BadRow, Reason

PIECE_BYTES = 96 * 2**20
"""Memory of the full-size frames that are read at once: 16 of 1920 x 1080."""
_SAME_SECONDS = 1e-6


def full_size_frames(
    reader: ClipReader, part: Row, frame_seconds: NDArray[np.float64], *, piece_bytes: int = PIECE_BYTES
) -> Iterator[NDArray[np.uint8]]:
    """Frames (H, W, 3) of a part of a video at its display size, rounded to even sides, read in pieces.

    Args:
        reader: of the part.
        part: `stages.animate.driving.PART_FIELDS`.
        frame_seconds: (T) timestamps of the frames, as read before.
        piece_bytes: memory of a piece, at least one frame.

    Raises:
        BadRow: SourceChanged, if other frames are read; or a reason of the decoder.
    """
    length = max(1, piece_bytes // (3 * part["width_px"] * part["height_px"]))
    for start in range(0, part["num_frames"], length):
        count = min(length, part["num_frames"] - start)
        seconds = part["start_seconds"] + start * part["frame_step"] / part["fps"]
        times = part["times_seconds"]
        times = None if times is None else times[start : start + count]
        piece = reader.frames(
            {**part, "start_seconds": seconds, "num_frames": count, "times_seconds": times},
            short_side_px=min(part["width_px"], part["height_px"]),
            multiple=2,  # H.264 has even sides
        )
        expected = np.asarray(frame_seconds[start : start + count], np.float64)
        if len(piece.frames) != len(expected) or np.abs(piece.frame_seconds - expected).max() > _SAME_SECONDS:
            raise BadRow(
                Reason.SOURCE_CHANGED,
                f"{part['uri']}: frames {start} to {start + count - 1} are no longer those at {expected[0]:.3f} s to "
                f"{expected[-1]:.3f} s; run the same command again",
            )
        yield from piece.frames


def set_into(row: Row, originals: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """The animation at the size of the original frames, pasted into them unless the request declines `paste_back`."""
    generated = row["animation_frames"]
    if row["paste_back"] is False:
        for original, frame in zip(originals, generated, strict=True):
            yield resized(frame, original.shape[:2])
        return
    keypoints, mask = row["skeleton_keypoints"], row["reference_mask"]
    reach = DEFAULT_REACH if mask is None else reach_of(mask, row["reference_keypoints"])
    areas = row["agnostic_mask"] | silhouettes(keypoints, generated.shape[1:3], reach)
    for original, frame, area, objects in zip(originals, generated, areas, row["object_mask"], strict=True):
        yield paste(original, frame, paste_weight(area, objects))
