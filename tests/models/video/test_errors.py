from __future__ import annotations

from typing import get_args

from models.video.errors import MediaError, MediaReason
from stages.outcome import Reason


def test_every_reason_is_in_the_vocabulary_of_outcomes():
    assert set(get_args(MediaReason)) <= {reason.value for reason in Reason}


def test_error_says_reason_and_message():
    error = MediaError("TooLarge", "clip.mp4 has 5 bytes, 4 are allowed")
    assert str(error) == "TooLarge: clip.mp4 has 5 bytes, 4 are allowed"
    assert error.reason == "TooLarge"
