from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.video.container import MediaLimits
from models.video.decode import decode_clip
from models.video.decode_decord import decode_clip_decord
from models.video.errors import MediaError
from models.video.window import ClipWindow

pytest.importorskip("decord", reason="decord (an extra) is not installed")

SIZE = {"short_side_px": 64, "multiple": 8, "limits": MediaLimits()}


@pytest.mark.parametrize("name", ["plain", "b_frames", "mkv", "variable_frame_rate", "rotated_90", "rotated_180"])
def test_frames_equal_those_of_pyav(cases, media, name):
    path = str(cases[name].path)
    window = ClipWindow(start_seconds=0.12, num_frames=10, frame_step=3, fps=25)
    theirs, ours = decode_clip_decord(path, window, **SIZE), decode_clip(path, window, **SIZE)
    assert theirs.frames.shape == ours.frames.shape
    np.testing.assert_array_equal(theirs.frame_seconds, ours.frame_seconds)
    assert np.abs(theirs.frames.astype(int) - ours.frames).mean() < 9


def test_damage_is_not_detected(cases, media, tmp_path):
    window = ClipWindow(start_seconds=0, num_frames=36, frame_step=1, fps=25)
    data = cases["faststart"].path.read_bytes()
    path = str(tmp_path / "a.mp4")
    Path(path).write_bytes(media.flip_bytes(data, count=3, seed=0, start=len(data) // 2, stop=len(data) // 2 + 800))
    assert decode_clip_decord(path, window, **SIZE).frames.shape[0] == 36
    with pytest.raises(MediaError, match="CorruptFrames"):
        decode_clip(path, window, **SIZE)


def test_unreadable_files_raise_an_error(cases):
    window = ClipWindow(start_seconds=0, num_frames=36, frame_step=1, fps=25)
    for name in ("html", "audio_only", "last_kilobyte_lost"):
        with pytest.raises(MediaError):
            decode_clip_decord(str(cases[name].path), window, **SIZE)
