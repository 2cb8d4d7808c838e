from __future__ import annotations

from typing import get_args

from models.video.errors import MediaError, MediaReason
from stages.outcome import Reason


def test_every_reason_is_an_outcome_reason():
    assert set(get_args(MediaReason)) <= {reason.value for reason in Reason}


def test_error_has_reason_and_message():
    error = MediaError("TooLarge", "clip.mp4 has 5 bytes, 4 are allowed")
    assert str(error) == "TooLarge: clip.mp4 has 5 bytes, 4 are allowed"
    assert error.reason == "TooLarge"
