from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_prepared import write_prepared

from models.training.recipe import SamplingConfig
from pipelines.training.corpus import TrainingDataError, open_corpus
from pipelines.training.heldout import split_clips

SAMPLING = SamplingConfig(height_px=64, width_px=48, num_frames=3, frame_step=2, sample_margin=2)


def table(videos: list[int]) -> pa.Table:
    """One clip of each video number."""
    return pa.table(
        {
            "clip_id": [f"clip-{index:03d}" for index in range(len(videos))],
            "fingerprint": [f"sha256:{video}" for video in videos],
        }
    )


@given(videos=st.lists(st.integers(0, 6), min_size=1, max_size=30), num_heldout=st.integers(0, 12))
def test_no_video_is_on_both_sides(videos: list[int], num_heldout: int) -> None:
    clips = table(videos)
    trained, heldout = split_clips(clips, num_heldout=num_heldout)
    assert len(heldout) == min(num_heldout, len(videos))
    assert not set(trained["fingerprint"].to_pylist()) & set(heldout["fingerprint"].to_pylist())
    ids = trained["clip_id"].to_pylist()
    assert ids == sorted(ids)
    # All clips of a video are left out, measured or not; no other is.
    missing = set(clips["fingerprint"].to_pylist()) - set(trained["fingerprint"].to_pylist())
    assert missing == set(heldout["fingerprint"].to_pylist())
    assert len(ids) == sum(f"sha256:{video}" not in missing for video in videos)


@given(videos=st.lists(st.integers(0, 9), min_size=1, max_size=30), num_heldout=st.integers(1, 5))
def test_videos_are_held_out_in_an_order_of_their_own(videos: list[int], num_heldout: int) -> None:
    few = split_clips(table(videos), num_heldout=num_heldout)[1]["fingerprint"].to_pylist()
    more = split_clips(table(videos), num_heldout=num_heldout + 1)[1]["fingerprint"].to_pylist()
    assert more[: len(few)] == few
    first = split_clips(table([*videos, *range(10, 14)]), num_heldout=1)[1]["fingerprint"].to_pylist()
    assert first[0] == few[0] or first[0] in {f"sha256:{video}" for video in range(10, 14)}


def test_corpus_trains_on_the_others_only(tmp_path: Path) -> None:
    prepared = str(write_prepared(tmp_path, num_clips=5))
    whole, corpus = open_corpus(prepared, SAMPLING), open_corpus(prepared, SAMPLING, num_heldout=2)
    assert whole.heldout is None
    assert corpus.heldout is not None
    trained, heldout = (each.clips["clip_id"].to_pylist() for each in (corpus, corpus.heldout))
    assert (len(trained), len(heldout)) == (3, 2)
    assert sorted([*trained, *heldout]) == whole.clips["clip_id"].to_pylist()
    assert corpus.num_too_short == 0
    assert corpus.digest != whole.digest
    assert corpus.digest != replace(corpus, heldout=None).digest
    with pytest.raises(TrainingDataError, match=r"hold out 5 clips .* leaves none to train on; lower"):
        open_corpus(prepared, SAMPLING, num_heldout=5)
