"""Selection of sample animations for a report: side-by-side videos of a dataset."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import duckdb

from pipelines.engine.ledger import Ledger
from pipelines.engine.tables import column_names
from stages.outcome import Status

log = logging.getLogger(__name__)

MAX_VIDEO_BYTES = 3 * 2**20
"""Maximum size of a video in a report, in bytes. Limits the size of the page."""
_CANDIDATES_PER_VIDEO = 4
_MAX_RUNS = 4

_COLUMNS = (
    *("request_id", "model", "seed", "num_steps", "guidance_scale", "retarget_rule", "fallbacks", "device"),
    *("video_width_px", "video_height_px", "num_frames", "fps", "has_audio", "video_uri", "side_by_side_uri"),
    *("reference_uri", "driving_uri", "clip_id", "seconds_by_stage"),
    *("retarget_scale", "retarget_limb_scales", "retarget_plausibility", "retarget_outside_share"),
    *("placement_rule", "character_scale", "offset_x", "offset_y", "kept_objects", "frames_without_character"),
    *("applied_controls", "face_rule", "face_height_px", "frames_without_face", "face_lost", "face_strip_uri"),
)
"""Datasets of earlier versions lack some of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownVideo:
    """Side-by-side video of one animation, with facts about it. `face_webp`: the face control, where there is one."""

    request_id: str
    mp4: bytes
    face_webp: bytes | None = None
    facts: tuple[tuple[str, str], ...]


def videos_to_show(ledger: Ledger, count: int) -> list[ShownVideo]:
    """Reproducible sample of at most `count` animations with status ok, in equal shares of the models.

    Sorted by request id, so that animations of the same picture and clip by different models are adjacent. Videos above
    `MAX_VIDEO_BYTES` and unreadable ones are replaced by the next candidate.
    """
    with duckdb.connect() as connection:
        relation = ledger.relation(connection)
        if not relation:
            return []
        present = column_names(connection, relation)
        columns = [name for name in _COLUMNS if name in present]
        place_in_model = "row_number() OVER (PARTITION BY model ORDER BY hash(request_id))"
        query = (
            f"SELECT {', '.join(columns)} FROM {relation} WHERE status = ? "  # noqa: S608
            f"ORDER BY {place_in_model}, hash(request_id) LIMIT ?"
        )
        candidates = connection.execute(query, [Status.OK, count * _CANDIDATES_PER_VIDEO]).fetchall()
    shown: list[ShownVideo] = []
    for values in candidates:
        row: dict[str, Any] = {**dict.fromkeys(_COLUMNS), **dict(zip(columns, values, strict=True))}
        try:
            mp4 = ledger.storage.read(row["side_by_side_uri"])
            strip = row["face_strip_uri"]
            face = None if strip is None else ledger.storage.read(strip)
        except OSError as error:  # deleted since
            log.warning("no video of request %s: %s", row["request_id"], error)
            continue
        if len(mp4) > MAX_VIDEO_BYTES:
            continue
        shown.append(ShownVideo(request_id=row["request_id"], mp4=mp4, face_webp=face, facts=_facts(row)))
        if len(shown) == count:
            break
    return sorted(shown, key=lambda video: video.request_id)


def _facts(row: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    seconds = row["seconds_by_stage"] or {}
    if not isinstance(seconds, dict):  # a map in datasets of earlier versions
        seconds = {entry["name"]: entry["value"] for entry in seconds}
    facts = [
        ("model", row["model"]),
        ("size", f"{row['video_width_px']} × {row['video_height_px']}"),
        ("frames", f"{row['num_frames']} at {row['fps']:.4g} fps"),
        ("seed", str(row["seed"])),
        ("steps", row["num_steps"]),
        ("guidance", None if row["guidance_scale"] is None else f"{row['guidance_scale']:g}"),
        ("retargeted by", _retargeting(row)),
        ("plausibility", None if row["retarget_plausibility"] is None else f"{row['retarget_plausibility']:.2f}"),
        (
            "outside the picture",
            f"{share:.0%} of the body's points" if (share := row["retarget_outside_share"]) else None,
        ),
        ("placed by", _placement(row)),
        ("objects kept", ", ".join(row["kept_objects"] or [])),
        ("frames without the character", row["frames_without_character"] or None),
        ("controlled by", row["applied_controls"]),
        ("face", row["face_rule"]),
        (
            "driving face",
            None if row["face_height_px"] is None else f"{row['face_height_px']:.0f} px high",
        ),
        ("frames without a face", _lost_faces(row)),
        ("device", row["device"]),
        ("animate time", f"{seconds['animate']:.3g} s" if "animate" in seconds else None),
        ("fallbacks", ", ".join(row["fallbacks"] or [])),
        ("sound", "kept" if row["has_audio"] else None),
        ("picture", row["reference_uri"]),
        ("driven by", row["driving_uri"] or row["clip_id"]),
        ("file", row["video_uri"]),
    ]
    return tuple((label, str(value)) for label, value in facts if value not in (None, ""))


def _retargeting(row: dict[str, Any]) -> str:
    rule: str = row["retarget_rule"]
    if row["retarget_scale"] is None:
        return rule
    limbs = [entry["value"] / row["retarget_scale"] for entry in row["retarget_limb_scales"] or []]
    extremes = f", limbs {min(limbs):.2f} to {max(limbs):.2f} of it" if limbs else ""
    return f"{rule}, scale {row['retarget_scale']:.3g}{extremes}"


def _placement(row: dict[str, Any]) -> str | None:
    if row["placement_rule"] is None:
        return None
    scale, x, y = row["character_scale"], row["offset_x"] or 0.0, row["offset_y"] or 0.0
    size = "" if scale is None else f", {scale:g} times as large"
    return f"{row['placement_rule']}{size}" + (f", moved by {x:g}, {y:g}" if x or y else "")


def _lost_faces(row: dict[str, Any]) -> str | None:
    if not row["frames_without_face"]:
        return None
    runs = [
        f"{run['start_frame']} to {run['start_frame'] + run['num_frames'] - 1} ({run['reason']})"
        for run in row["face_lost"]
    ]
    more = "" if len(runs) <= _MAX_RUNS else f" and {len(runs) - _MAX_RUNS} more"
    return f"{row['frames_without_face']}: {', '.join(runs[:_MAX_RUNS])}{more}"
