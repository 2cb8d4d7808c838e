"""Signals of a prepared clip, read from the dataset that `prepare` wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.depth.structured import decode_depth
from models.masks.rle import decode
from models.pose.skeleton import NUM_KEYPOINTS, scale_keypoints
from stages.base import Row
from stages.io.storage import open_file_system, store_errors
from stages.outcome import BadRow, Reason

DEPTH_COLUMNS = ("depth_png", "depth_min", "depth_max")


def read_prepared_keypoints(clip_id: str, clip: Row, frames_shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Keypoints (T, 133, 3) of a prepared clip, in pixels of frames of another size.

    Args:
        clip_id: in the file.
        clip: `keypoints_file`, the URL of the Parquet file that holds the row, `work_width_px` and `work_height_px`.
        frames_shape: (T, H, W, 3) of the decoded frames.

    Raises:
        BadRow: NotFound, the file is gone; SourceChanged, the file no longer holds this clip with T frames.
    """
    columns = _read(clip_id, clip, ("keypoints",))
    frames, height, width, _ = frames_shape
    where, expected = f"{clip['keypoints_file']}: keypoints of {clip_id}", (frames, NUM_KEYPOINTS, 3)
    try:
        keypoints = np.array(columns.get("keypoints"), dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise BadRow(Reason.SOURCE_CHANGED, f"{where} have frames of different lengths or nulls") from error
    if keypoints.shape != expected:
        raise BadRow(Reason.SOURCE_CHANGED, f"{where} have the shape {keypoints.shape}, expected {expected}")
    if not np.isfinite(keypoints).all():
        raise BadRow(Reason.SOURCE_CHANGED, f"{where} hold values that are no numbers")
    return scale_keypoints(keypoints, _work_size_px(clip), (height, width))


def read_prepared_mask(clip_id: str, clip: Row, num_frames: int) -> NDArray[np.bool_] | None:
    """Mask (T, h, w) of the character at the working size; None if the dataset has none. Raises as
    `read_prepared_keypoints`.
    """
    codes = _read(clip_id, clip, ("character_mask",)).get("character_mask")
    return None if codes is None else _masks(codes, clip_id, clip, num_frames)


def read_prepared_objects(clip_id: str, clip: Row, num_frames: int) -> dict[str, NDArray[np.bool_]] | None:
    """Masks (T, h, w) of the prompted objects by id, at the working size; None if the dataset has none. Raises as
    `read_prepared_keypoints`.
    """
    objects = _read(clip_id, clip, ("object_masks",)).get("object_masks")
    if objects is None:
        return None
    return {each["object_id"]: _masks(each["masks"], clip_id, clip, num_frames) for each in objects}


def read_prepared_depth(clip_id: str, clip: Row, num_frames: int) -> NDArray[np.float32] | None:
    """Depth (T, h, w) along the skeleton at the working size, NaN elsewhere; None if the dataset has none. Raises as
    `read_prepared_keypoints`.
    """
    columns = _read(clip_id, clip, DEPTH_COLUMNS)
    if any(columns.get(name) is None for name in DEPTH_COLUMNS):
        return None
    png, minimum, maximum = (columns[name] for name in DEPTH_COLUMNS)
    try:
        depth = decode_depth(png, minimum=minimum, maximum=maximum)
    except ValueError as error:
        raise BadRow(Reason.SOURCE_CHANGED, f"{clip['keypoints_file']}: depth of {clip_id}: {error}") from error
    return _of_length(depth, clip_id, clip, num_frames)


def _read(clip_id: str, clip: Row, columns: tuple[str, ...]) -> Mapping[str, Any]:
    """Those of the columns that the dataset has, for one clip."""
    url = clip["keypoints_file"]
    try:
        fs, path = open_file_system(url)
        with store_errors(url), fs.open(path, "rb") as file:
            present = [name for name in columns if name in pq.read_schema(file).names]
            file.seek(0)
            table = pq.read_table(file, columns=[*present, "clip_id"], filters=[("clip_id", "==", clip_id)])
    except FileNotFoundError as error:
        raise BadRow(Reason.NOT_FOUND, f"{url}, which held the clip {clip_id}, is gone") from error
    except (OSError, ValueError) as error:  # damaged since it was planned; Arrow's errors are both
        raise BadRow(Reason.UNREADABLE_SOURCE, f"{url}: {str(error)[:300]}") from error
    if table.num_rows != 1:
        raise BadRow(Reason.SOURCE_CHANGED, f"{url} no longer holds the clip {clip_id}; run the same command again")
    row: dict[str, Any] = table.to_pylist()[0]
    return row


def _masks(codes: Any, clip_id: str, clip: Row, num_frames: int) -> NDArray[np.bool_]:
    try:
        masks = decode(codes)
    except (TypeError, ValueError) as error:
        raise BadRow(Reason.SOURCE_CHANGED, f"{clip['keypoints_file']}: a mask of {clip_id}: {error}") from error
    return _of_length(masks, clip_id, clip, num_frames)


def _of_length(array: NDArray[Any], clip_id: str, clip: Row, num_frames: int) -> NDArray[Any]:
    if len(array) != num_frames:
        url = clip["keypoints_file"]
        raise BadRow(Reason.SOURCE_CHANGED, f"{url}: {len(array)} masks or depths of {clip_id}, {num_frames} frames")
    return array


def _work_size_px(clip: Row) -> tuple[int, int]:
    size = clip["work_height_px"], clip["work_width_px"]
    if not all(side is not None and side > 0 for side in size):
        raise BadRow(Reason.INVALID_ROW, f"the clip has work_height_px and work_width_px {size}, expected 1 or more")
    return size
