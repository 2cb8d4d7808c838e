from __future__ import annotations

import numpy as np
import pytest

from models.video.container import MediaLimits, open_video
from models.video.errors import MediaError
from models.video.timeline import Timeline, has_presentation_times, read_timeline

LIMITS = MediaLimits()
EVERYTHING = 2**62


def timeline(case, *, until_seconds: float | None = None) -> Timeline:
    with open_video(str(case.path), LIMITS) as video:
        ticks = EVERYTHING if until_seconds is None else round(until_seconds / float(video.stream.time_base))
        return read_timeline(video, LIMITS, until_ticks=ticks)


def test_packets_in_decoding_order(cases):
    found = timeline(cases["b_frames"])
    assert len(found.ticks) == 36
    assert (np.diff(found.ticks) < 0).any()
    np.testing.assert_allclose(found.shown_ticks() * found.tick_seconds, np.arange(36) / 25)
    assert found.is_key[[0, 12, 24]].all()
    assert found.is_key.sum() == 3
    assert found.end_ticks * found.tick_seconds == pytest.approx(1.44)
    assert found.complete


def test_reading_stops_once_all_that_is_shown_is_known(cases):
    found = timeline(cases["b_frames"], until_seconds=0.5)
    assert not found.complete
    assert 13 <= len(found.ticks) <= 20
    shown = found.shown_ticks() * found.tick_seconds
    np.testing.assert_allclose(shown[:13], np.arange(13) / 25)


def test_avi_with_reordered_frames_has_no_times_of_its_own(cases):
    for name, expected in (("avi_b_frames", False), ("avi_mpeg4", True), ("mkv", True)):
        with open_video(str(cases[name].path), LIMITS) as video:
            assert has_presentation_times(video) == expected
    np.testing.assert_array_equal(timeline(cases["avi_b_frames"]).ticks, np.arange(36))


def test_packets_before_the_first_keyframe_are_passed_over(cases):
    found = timeline(cases["first_keyframe_lost"])
    assert found.num_skipped == 11
    assert found.is_key[0]


def test_timestamps_that_start_again(cases):
    with pytest.raises(MediaError, match="starts its timestamps again"):
        timeline(cases["timestamps_restart"])


def test_what_the_container_says_of_itself(cases):
    with pytest.raises(MediaError, match=r"DecodeError.*File ended prematurely"):
        timeline(cases["mkv_cut_at_half"])
