"""Clips that a training run leaves out, to measure its animations on them."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa


def split_clips(clips: pa.Table, *, num_heldout: int) -> tuple[pa.Table, pa.Table]:
    """Clips for training, and `num_heldout` held-out ones or as many as there are.

    Videos, identified by their content, are held out as a whole in the order of a digest of their fingerprints, so that
    no clip of a held-out video is trained on. A video's place in that order does not depend on the others.

    Args:
        clips: table with `clip_id` and `fingerprint`, sorted by `clip_id`.
    """
    fingerprints = clips["fingerprint"].to_pylist()
    order = sorted(set(fingerprints), key=lambda fingerprint: hashlib.sha256(fingerprint.encode()).digest())
    places: list[int] = []
    for video in order:
        if len(places) >= num_heldout:
            break
        places.extend(place for place, fingerprint in enumerate(fingerprints) if fingerprint == video)
    trained = np.ones(len(clips), np.bool_)
    trained[places] = False
    return clips.filter(pa.array(trained)), clips.take(pa.array(places[:num_heldout], pa.int64()))
