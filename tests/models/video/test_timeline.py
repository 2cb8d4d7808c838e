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
    result = timeline(cases["b_frames"])
    assert len(result.ticks) == 36
    assert (np.diff(result.ticks) < 0).any()
    np.testing.assert_allclose(result.shown_ticks() * result.tick_seconds, np.arange(36) / 25)
    assert result.is_key[[0, 12, 24]].all()
    assert result.is_key.sum() == 3
    assert result.end_ticks * result.tick_seconds == pytest.approx(1.44)
    assert result.complete


def test_reading_stops_once_all_displayed_frames_are_included(cases):
    result = timeline(cases["b_frames"], until_seconds=0.5)
    assert not result.complete
    assert 13 <= len(result.ticks) <= 20
    shown = result.shown_ticks() * result.tick_seconds
    np.testing.assert_allclose(shown[:13], np.arange(13) / 25)


def test_avi_with_reordered_frames_has_no_presentation_times(cases):
    for name, expected in (("avi_b_frames", False), ("avi_mpeg4", True), ("mkv", True)):
        with open_video(str(cases[name].path), LIMITS) as video:
            assert has_presentation_times(video) == expected
    np.testing.assert_array_equal(timeline(cases["avi_b_frames"]).ticks, np.arange(36))


def test_packets_before_the_first_keyframe_are_skipped(cases):
    result = timeline(cases["first_keyframe_lost"])
    assert result.num_skipped == 11
    assert result.is_key[0]


def test_timestamps_that_restart_are_an_error(cases):
    with pytest.raises(MediaError, match="starts its timestamps again"):
        timeline(cases["timestamps_restart"])


def test_damage_reported_by_the_container_is_an_error(cases):
    with pytest.raises(MediaError, match=r"DecodeError.*File ended prematurely"):
        timeline(cases["mkv_cut_at_half"])
