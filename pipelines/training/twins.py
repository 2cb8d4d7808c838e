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


def with_twins(corpus: Corpus, url: str, sampling: SamplingConfig) -> Corpus:
    """The corpus with the twin of each clip: the clip of the same id in a prepared dataset.

    Raises:
        TrainingDataError: there is no such dataset, a clip has no twin, or a twin shows other frames.
    """
    plain = replace(sampling, scene=None, explicit_indicator=None)
    twins = open_corpus(url, plain)
    place_of = {clip_id: place for place, clip_id in enumerate(twins.clips["clip_id"].to_pylist())}
    ids = corpus.clips["clip_id"].to_pylist()
    if missing := [clip_id for clip_id in ids if clip_id not in place_of]:
        raise TrainingDataError(
            f"{len(missing)} of {len(ids)} clips have no twin with status ok in data.faces ({url}): {_names(missing)}; "
            "give the videos of the twins the ids (video_id) of the clips' videos, cut and prepare them with the same "
            "settings, or leave these clips out of the corpus"
        )
    aligned = twins.clips.take(pa.array([place_of[clip_id] for clip_id in ids]))
    pairs = zip(corpus.clips.to_pylist(), aligned.to_pylist(), strict=True)
    if other := [clip["clip_id"] for clip, twin in pairs if not _same_frames(clip, twin)]:
        raise TrainingDataError(
            f"{len(other)} of {len(ids)} twins in data.faces ({url}) have another length, time or frame rate than "
            f"their clips: {_names(other)}; a twin has the frames of its clip, one by one"
        )
    return replace(corpus, twins=replace(twins, clips=aligned))


def _same_frames(clip: Mapping[str, Any], twin: Mapping[str, Any]) -> bool:
    rate, other_rate = (float(each["fps"]) / float(each["frame_step"]) for each in (clip, twin))
    return (
        clip["num_frames"] == twin["num_frames"]
        and abs(clip["start_seconds"] - twin["start_seconds"]) <= _MAX_SECONDS_APART
        and math.isclose(rate, other_rate, rel_tol=_MAX_RATE_APART)
    )


def _names(clip_ids: list[str]) -> str:
    return ", ".join(clip_ids[:_NUM_NAMED]) + (", …" if len(clip_ids) > _NUM_NAMED else "")
