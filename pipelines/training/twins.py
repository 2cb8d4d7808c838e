"""Twins: clips that show the expressions of the corpus on other characters, frame by frame.

X-Dyna learns faces from them (arXiv 2501.10021, §3.3): patches of the target's own face would also tell its identity. A
reenactment network makes them of people, and `zoetrope puppets` draws them of puppets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from models.training.recipe import SamplingConfig
from pipelines.training.corpus import Corpus, TrainingDataError, open_corpus

_MAX_SECONDS_APART = 1e-3
_MAX_RATE_APART = 1e-3
_NUM_NAMED = 5
_COMPARED = ["clip_id", "num_frames", "start_seconds", "fps", "frame_step"]


def with_twins(corpus: Corpus, url: str, sampling: SamplingConfig, *, min_share: float) -> Corpus:
    """The clips of the corpus that have a twin, the clip of the same id in a prepared dataset, with their twins.

    A reenactment network fails on some clips; these are left out, and `Corpus.left_out` says so.

    `min_share`: least share of the clips that must remain.

    Raises:
        TrainingDataError: there is no such dataset, or too few clips remain.
    """
    twins = open_corpus(url, replace(sampling, scene=None, explicit_indicator=None))
    others = {row["clip_id"]: (place, row) for place, row in enumerate(twins.clips.select(_COMPARED).to_pylist())}
    kept, kept_twins, absent, unequal = [], [], [], []
    for own, clip in enumerate(corpus.clips.select(_COMPARED).to_pylist()):
        place, twin = others.get(clip["clip_id"], (None, None))
        if twin is None:
            absent.append(clip["clip_id"])
        elif not _same_frames(clip, twin):
            unequal.append(clip["clip_id"])
        else:
            kept.append(own)
            kept_twins.append(place)
    left_out = _sentence(len(corpus.clips), url, absent, unequal)
    expected = max(1, math.ceil(min_share * len(corpus.clips)))
    if len(kept) < expected:
        raise TrainingDataError(
            f"{left_out}; {len(kept)} remain, expected at least {expected} (data.min_faces_share is {min_share:g}). "
            "Give the videos of the twins the ids (video_id) of the clips' videos, with a frame for each of theirs, "
            "and cut and prepare them with the same settings"
        )
    return replace(
        corpus,
        clips=corpus.clips.take(pa.array(kept, pa.int64())),
        twins=replace(twins, clips=twins.clips.take(pa.array(kept_twins, pa.int64()))),
        left_out=(*corpus.left_out, f"{left_out}; these are left out") if absent or unequal else corpus.left_out,
    )


def _sentence(total: int, url: str, absent: list[str], unequal: list[str]) -> str:
    """Numbers and names of the clips without a twin in `url`."""
    reasons = {
        "without a twin with status ok and enough frames": absent,
        "with one of another length, time or frame rate": unequal,
    }
    counts = [f"{len(names)} {what} ({_names(names)})" for what, names in reasons.items() if names]
    return f"of {total} clips, {' and '.join(counts) or 'none'} in data.faces ({url})"


def _same_frames(clip: Mapping[str, Any], twin: Mapping[str, Any]) -> bool:
    rate, other_rate = (float(each["fps"]) / float(each["frame_step"]) for each in (clip, twin))
    return (
        clip["num_frames"] == twin["num_frames"]
        and abs(clip["start_seconds"] - twin["start_seconds"]) <= _MAX_SECONDS_APART
        and math.isclose(rate, other_rate, rel_tol=_MAX_RATE_APART)
    )


def _names(clip_ids: list[str]) -> str:
    return ", ".join(clip_ids[:_NUM_NAMED]) + (", …" if len(clip_ids) > _NUM_NAMED else "")
