"""Animations for people to watch: a few of a dataset's side-by-side videos."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import duckdb

from pipelines.engine.ledger import Ledger
from stages.outcome import Status

log = logging.getLogger(__name__)

MAX_VIDEO_BYTES = 3 * 2**20
"""Longer videos are left out: a page of a hundred megabytes opens nowhere."""
_LOOKED_AT_PER_SHOWN = 4

_COLUMNS = (
    *("request_id", "model", "seed", "num_steps", "guidance_scale", "retarget_rule", "fallbacks", "device"),
    *("video_width_px", "video_height_px", "num_frames", "fps", "has_audio", "video_uri", "side_by_side_uri"),
    *("reference_uri", "driving_uri", "clip_id", "seconds_by_stage"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownVideo:
    """One animation beside its reference and its driving frames."""

    request_id: str
    mp4: bytes
    facts: tuple[tuple[str, str], ...]


def videos_to_show(ledger: Ledger, count: int) -> list[ShownVideo]:
    """At most `count` animations that are ok, spread over the dataset; the same for the same dataset. Neighbours
    are those that are alike in picture and clip, so that models can be compared.

    Those that are too large for a page or cannot be read are passed over for the next.
    """
    with duckdb.connect() as connection:
        relation = ledger.relation(connection)
        if not relation:
            return []
        query = f"SELECT {', '.join(_COLUMNS)} FROM {relation} WHERE status = ? ORDER BY hash(request_id) LIMIT ?"  # noqa: S608
        found = connection.execute(query, [Status.OK, count * _LOOKED_AT_PER_SHOWN]).fetchall()
    shown: list[ShownVideo] = []
    for values in found:
        row = dict(zip(_COLUMNS, values, strict=True))
        try:
            mp4 = ledger.storage.read(row["side_by_side_uri"])
        except OSError as error:  # deleted by somebody: the report stands
            log.warning("no video of request %s: %s", row["request_id"], error)
            continue
        if len(mp4) > MAX_VIDEO_BYTES:
            continue
        shown.append(ShownVideo(request_id=row["request_id"], mp4=mp4, facts=_facts(row)))
        if len(shown) == count:
            break
    return sorted(shown, key=lambda video: video.request_id)


def _facts(row: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    seconds = dict(row["seconds_by_stage"] or {})
    facts = [
        ("model", row["model"]),
        ("size", f"{row['video_width_px']} × {row['video_height_px']}"),
        ("frames", f"{row['num_frames']} at {row['fps']:.4g} a second"),
        ("seed", str(row["seed"])),
        ("steps", row["num_steps"]),
        ("guidance", None if row["guidance_scale"] is None else f"{row['guidance_scale']:g}"),
        ("retargeted by", row["retarget_rule"]),
        ("made on", row["device"]),
        ("in", f"{seconds['animate']:.3g} s" if "animate" in seconds else None),
        ("for want of memory", ", ".join(row["fallbacks"] or [])),
        ("sound", "kept" if row["has_audio"] else None),
        ("picture", row["reference_uri"]),
        ("driven by", row["driving_uri"] or row["clip_id"]),
        ("file", row["video_uri"]),
    ]
    return tuple((label, str(value)) for label, value in facts if value not in (None, ""))
