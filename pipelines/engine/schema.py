"""Arrow types of all written columns, and conversion between rows and tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from models.metrics.measures import MEASURES, SET_MEASURES

SCHEMA_VERSION = 1

RLE = pa.struct([("size", pa.list_(pa.int32())), ("counts", pa.binary())])
PROMPT = pa.struct(
    [
        ("object_id", pa.string()),
        ("seconds", pa.float64()),
        ("box", pa.list_(pa.float64())),
        ("points", pa.list_(pa.struct([("x", pa.float64()), ("y", pa.float64()), ("positive", pa.bool_())]))),
    ]
)

VIDEO_COLUMNS: dict[str, pa.DataType] = {
    "video_id": pa.string(),
    "uri": pa.string(),
    "source_stamp": pa.string(),
    "size_bytes": pa.int64(),
    "fingerprint": pa.string(),
    "codec": pa.string(),
    "pixel_format": pa.string(),
    "width_px": pa.int32(),
    "height_px": pa.int32(),
    "rotation_degrees": pa.int32(),
    "fps": pa.float64(),
    "variable_frame_rate": pa.bool_(),
    "num_frames": pa.int32(),
    "start_seconds": pa.float64(),
    "duration_seconds": pa.float64(),
    "has_audio": pa.bool_(),
    "shot_starts_seconds": pa.list_(pa.float64()),
}

CLIP_COLUMNS: dict[str, pa.DataType] = {
    "clip_id": pa.string(),
    "video_id": pa.string(),
    "uri": pa.string(),
    "fingerprint": pa.string(),
    "size_bytes": pa.int64(),
    "width_px": pa.int32(),
    "height_px": pa.int32(),
    "fps": pa.float64(),
    "start_seconds": pa.float64(),
    "num_frames": pa.int32(),
    "frame_step": pa.int32(),
    "objects": pa.list_(PROMPT),
}

PREPARED_COLUMNS: dict[str, pa.DataType] = {
    "work_width_px": pa.int32(),
    "work_height_px": pa.int32(),
    "frame_seconds": pa.list_(pa.float64()),
    "keypoints": pa.list_(pa.list_(pa.list_(pa.float32()))),
    "num_people": pa.list_(pa.int32()),
    "depth_png": pa.list_(pa.binary()),
    "depth_min": pa.float32(),
    "depth_max": pa.float32(),
    "character_mask": pa.list_(RLE),
    "object_masks": pa.list_(pa.struct([("object_id", pa.string()), ("masks", pa.list_(RLE))])),
    "agnostic_mask": pa.list_(RLE),
    "agnostic_blocks_h": pa.int32(),
    "agnostic_blocks_w": pa.int32(),
    "agnostic_seed": pa.int64(),
    "pose_confidence": pa.float32(),
    "person_share": pa.float32(),
    "keypoints_inside_mask": pa.float32(),
    "mask_area_jump": pa.float32(),
    "motion_magnitude": pa.float32(),
    "sharpness": pa.float32(),
    "identity_switches": pa.int32(),
    "shot_cuts": pa.int32(),
    "longest_absence_seconds": pa.float32(),
    "clip_embeddings": pa.list_(pa.binary()),
    "clip_embedding_shape": pa.list_(pa.int32()),
    "vae_latents": pa.list_(pa.binary()),
    "vae_latent_shape": pa.list_(pa.int32()),
}

REQUEST_COLUMNS: dict[str, pa.DataType] = {
    "request_id": pa.string(),
    "reference_uri": pa.string(),
    "driving_uri": pa.string(),
    "start_seconds": pa.float64(),
    "duration_seconds": pa.float64(),
    "clip_id": pa.string(),
    "clips_uri": pa.string(),
    "model": pa.string(),
    "seed": pa.int64(),
    "num_steps": pa.int32(),
    "guidance_scale": pa.float64(),
    "width_px": pa.int32(),
    "height_px": pa.int32(),
    "retarget": pa.string(),
    "objects": pa.list_(PROMPT),
    "keep_objects": pa.bool_(),
    "character_scale": pa.float64(),
    "offset_x": pa.float64(),
    "offset_y": pa.float64(),
    "paste_back": pa.bool_(),
    "long_video": pa.string(),
    "controls": pa.string(),
}

DRIVING_CLIP = pa.struct(
    [
        ("status", pa.string()),
        *((name, CLIP_COLUMNS[name]) for name in ("uri", "fingerprint", "size_bytes", "start_seconds", "num_frames")),
        *((name, CLIP_COLUMNS[name]) for name in ("frame_step", "fps", "width_px", "height_px", "objects")),
        *((name, PREPARED_COLUMNS[name]) for name in ("work_width_px", "work_height_px")),
        ("keypoints_file", pa.string()),
    ]
)

MODEL_SPEC = pa.struct(
    [
        ("pose_preset", pa.string()),
        ("size_multiple", pa.int32()),
        ("short_side_px", pa.int32()),
        ("signals", pa.list_(pa.string())),
        ("keeps_scene", pa.bool_()),
        ("face_form", pa.string()),
        ("reason", pa.string()),
        ("message", pa.string()),
    ]
)
"""Model description that stages read; `reason` and `message` are set if the model cannot be used."""

RESOLVED_COLUMNS: dict[str, pa.DataType] = {
    "reference_stamp": pa.string(),
    "driving_stamp": pa.string(),
    "clip": DRIVING_CLIP,
    "clip_key": pa.string(),
    "clip_fault": pa.struct([("reason", pa.string()), ("message", pa.string())]),
    "model_digest": pa.string(),
    "model_spec": MODEL_SPEC,
    "scene_weights": pa.string(),
}
"""Columns that a job adds to `requests` before planning: the versions of all referenced inputs."""

RESULT_COLUMNS: dict[str, pa.DataType] = {
    "video_uri": pa.string(),
    "side_by_side_uri": pa.string(),
    "video_bytes": pa.int64(),
    "video_width_px": pa.int32(),
    "video_height_px": pa.int32(),
    "num_frames": pa.int32(),
    "fps": pa.float64(),
    "has_audio": pa.bool_(),
    "frame_seconds": pa.list_(pa.float64()),
    "canvas_width_px": pa.int32(),
    "canvas_height_px": pa.int32(),
    "reference_fingerprint": pa.string(),
    "reference_keypoints": pa.list_(pa.list_(pa.float32())),
    "driving_fingerprint": pa.string(),
    "driving_width_px": pa.int32(),
    "driving_height_px": pa.int32(),
    "retarget_rule": pa.string(),
    "placement_rule": pa.string(),
    "frames_without_character": pa.int32(),
    "kept_objects": pa.list_(pa.string()),
    "applied_controls": pa.string(),
    "face_rule": pa.string(),
    "face_height_px": pa.float32(),
    "frames_without_face": pa.int32(),
    "face_lost": pa.list_(
        pa.struct([("start_frame", pa.int32()), ("num_frames", pa.int32()), ("reason", pa.string())])
    ),
    "face_strip_uri": pa.string(),
    "window_borders": pa.list_(pa.int32()),
    "fallbacks": pa.list_(pa.string()),
    "device": pa.string(),
}

PAIR_COLUMNS: dict[str, pa.DataType] = {
    "animation_id": pa.string(),
    "animation_uri": pa.string(),
    "truth_uri": pa.string(),
    "truth_start_seconds": pa.float64(),
    "truth_timestamp_seconds": pa.float64(),
    "truth_num_frames": pa.int32(),
    "model": pa.string(),
    "setting": pa.string(),
    "window_borders": pa.list_(pa.int32()),
    "not_animated": pa.string(),
}
"""Pairs of an animation and its truth: all frames of both files, or a part of the truth that begins at
`truth_start_seconds` after its first frame or at the presentation timestamp `truth_timestamp_seconds`, and has
`truth_num_frames` frames.
"""

STAMPED_PAIR_COLUMNS: dict[str, pa.DataType] = {"animation_stamp": pa.string(), "truth_stamp": pa.string()}
"""Columns that a job adds to pairs before planning: the versions of both files."""

_FEATURES = pa.list_(pa.list_(pa.float32()))

COMPARED_COLUMNS: dict[str, pa.DataType] = {
    "num_frames": pa.int32(),
    "fps": pa.float64(),
    "width_px": pa.int32(),
    "height_px": pa.int32(),
    "compared_width_px": pa.int32(),
    "compared_height_px": pa.int32(),
    "size_rule": pa.string(),
    "worst_frame": pa.int32(),
    **{
        column: pa.float64()
        for measure in MEASURES.values()
        for column in (measure.name, *([f"{measure.name}_truth"] if measure.has_truth else ()))
    },
    **{f"{name}{side}_features": _FEATURES for name in SET_MEASURES for side in ("", "_truth")},
}
"""Columns of `zoetrope evaluate`: facts, measures, and the features of Fréchet distances."""

OUTCOME_COLUMNS: dict[str, pa.DataType] = {
    "status": pa.string(),
    "stage": pa.string(),
    "reason": pa.string(),
    "message": pa.string(),
    "attempts": pa.int32(),
}

PROVENANCE_COLUMNS: dict[str, pa.DataType] = {
    "work_key": pa.string(),
    "pipeline_key": pa.string(),
    "stage_keys": pa.map_(pa.string(), pa.string()),
    "weights": pa.map_(pa.string(), pa.string()),
    "code_version": pa.string(),
    "job_id": pa.string(),
    "committed_at": pa.timestamp("us", tz="UTC"),
    "seconds_by_stage": pa.map_(pa.string(), pa.float32()),
}


def dataset_schema(kind: str, manifest: pa.Schema, written: Mapping[str, pa.DataType]) -> pa.Schema:
    """Schema of a dataset: columns of the manifest, of the stages, of the outcome, and of the provenance."""
    types = {field.name: field.type for field in manifest}
    types.update(written)
    types.update(OUTCOME_COLUMNS)
    types.update(PROVENANCE_COLUMNS)
    metadata = {"zoetrope": json.dumps({"dataset": kind, "schema_version": SCHEMA_VERSION})}
    return pa.schema(list(types.items()), metadata=metadata)


def to_table(row: Mapping[str, Any], schema: pa.Schema) -> pa.Table:
    """One-row table of `schema`. Missing columns are null; columns outside the schema are dropped."""
    arrays = [_array(row.get(field.name), field) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(value: Any, field: pa.Field) -> pa.Array:
    if isinstance(value, np.ndarray) and value.ndim > 1:
        return _nested_array(value, field.type)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    elif isinstance(value, np.generic):
        value = value.item()
    elif isinstance(value, Mapping) and pa.types.is_map(field.type):
        value = list(value.items())
    try:
        return pa.array([value], type=field.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise TypeError(f"column '{field.name}': expected {field.type}, got {type(value).__name__}: {error}") from error


def _nested_array(value: np.ndarray[Any, Any], column_type: pa.DataType) -> pa.Array:
    """Nested list array (1, *value.shape) over one contiguous buffer; `tolist` would create an object per number."""
    leaf = column_type
    for _ in range(value.ndim):
        leaf = leaf.value_type
    array: pa.Array = pa.array(np.ascontiguousarray(value).reshape(-1), type=leaf)
    for axis in range(value.ndim - 1, -1, -1):
        count = int(np.prod(value.shape[:axis], dtype=np.int64))
        offsets = np.arange(count + 1, dtype=np.int32) * value.shape[axis]
        array = pa.ListArray.from_arrays(pa.array(offsets), array)
    return array.cast(column_type)


def to_row(table: pa.Table, index: int = 0) -> dict[str, Any]:
    """Row `index` of a table in the form stages expect: (nested) lists of numbers as numpy arrays, maps as dicts."""
    row: dict[str, Any] = table.slice(index, 1).to_pylist(maps_as_pydicts="strict")[0]
    for field in table.schema:
        leaf = field.type
        while pa.types.is_list(leaf):
            leaf = leaf.value_type
        if leaf is not field.type and _is_number(leaf) and row[field.name] is not None:
            row[field.name] = np.asarray(row[field.name], dtype=leaf.to_pandas_dtype())
    return row


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))
