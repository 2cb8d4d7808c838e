"""Arrow types of all written columns."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pyarrow as pa

from models.metrics.measures import MEASURES, SET_MEASURES

SCHEMA_VERSION = 2
"""Version in the Parquet metadata. In version 1, `ENTRY_COLUMNS` were maps, which Hugging Face datasets cannot open."""


def entries(value: pa.DataType) -> pa.DataType:
    """Type of a column of named values."""
    return pa.list_(pa.struct([("name", pa.string()), ("value", value)]))


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
    "shot_ends_seconds": pa.list_(pa.float64()),
    "shot_widths_px": pa.list_(pa.int32()),
    "shot_heights_px": pa.list_(pa.int32()),
    "mirrored": pa.bool_(),
    "interlaced": pa.bool_(),
    "colour": pa.string(),
    "frame_conversion": pa.string(),
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
    "frame_conversion": pa.string(),
    "objects": pa.list_(PROMPT),
    "shot_start_seconds": pa.float64(),
    "shot_end_seconds": pa.float64(),
}

PREPARED_COLUMNS: dict[str, pa.DataType] = {
    "work_width_px": pa.int32(),
    "work_height_px": pa.int32(),
    "frame_seconds": pa.list_(pa.float64()),
    "num_source_frames": pa.int32(),
    "num_distinct_frames": pa.int32(),
    "keypoints": pa.list_(pa.list_(pa.list_(pa.float32()))),
    "num_people": pa.list_(pa.int32()),
    "implausible_share": pa.float32(),
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
        *((name, CLIP_COLUMNS[name]) for name in ("shot_start_seconds", "shot_end_seconds")),
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
    "num_source_frames": pa.int32(),
    "num_distinct_frames": pa.int32(),
    "driving_conversion": pa.string(),
    "implausible_share": pa.float32(),
    "longest_absence_seconds": pa.float32(),
    "bridged_frames": pa.int32(),
    "bridged_keypoints": pa.int32(),
    "cut_start_frames": pa.int32(),
    "cut_end_frames": pa.int32(),
    "canvas_width_px": pa.int32(),
    "canvas_height_px": pa.int32(),
    "reference_fingerprint": pa.string(),
    "reference_keypoints": pa.list_(pa.list_(pa.float32())),
    "driving_fingerprint": pa.string(),
    "driving_width_px": pa.int32(),
    "driving_height_px": pa.int32(),
    "retarget_rule": pa.string(),
    "retarget_scale": pa.float32(),
    "retarget_limb_scales": entries(pa.float32()),
    "retarget_offset_x_px": pa.float32(),
    "retarget_offset_y_px": pa.float32(),
    "retarget_plausibility": pa.float32(),
    "retarget_outside_share": pa.float32(),
    "retarget_max_outside_px": pa.float32(),
    "retarget_start_offset_px": pa.float32(),
    "retarget_ground_gap_px": pa.float32(),
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

ENTRY_COLUMNS = ("stage_keys", "networks", "weights", "seconds_by_stage", "retarget_limb_scales")
"""Columns of named values, which are dictionaries in rows of stages."""


PROVENANCE_COLUMNS: dict[str, pa.DataType] = {
    "work_key": pa.string(),
    "pipeline_key": pa.string(),
    "stage_keys": entries(pa.string()),
    "networks": entries(pa.string()),
    "weights": entries(pa.string()),
    "code_version": pa.string(),
    "job_id": pa.string(),
    "committed_at": pa.timestamp("us", tz="UTC"),
    "seconds_by_stage": entries(pa.float32()),
    "worker_memory_mib": pa.float32(),
}


def dataset_schema(kind: str, manifest: pa.Schema, written: Mapping[str, pa.DataType]) -> pa.Schema:
    """Schema of a dataset: columns of the manifest, of the stages, of the outcome, and of the provenance."""
    types = {field.name: field.type for field in manifest}
    types.update(written)
    types.update(OUTCOME_COLUMNS)
    types.update(PROVENANCE_COLUMNS)
    metadata = {"zoetrope": json.dumps({"dataset": kind, "schema_version": SCHEMA_VERSION})}
    return pa.schema(list(types.items()), metadata=metadata)
