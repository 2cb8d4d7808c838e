from __future__ import annotations

import numpy as np
import pytest

from models.video.container import MediaLimits
from models.video.decode import decode_clip
from models.video.probe import probe
from models.video.window import ClipWindow

LIMITS = MediaLimits()
HEIGHT, WIDTH, NUM_FRAMES = 64, 96, 4


def field(number: int) -> np.ndarray:
    """A white bar on grey, which moves by 12 pixels from field to field."""
    picture = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    picture[:, 8 + 8 * number : 20 + 8 * number] = 230
    return picture


def combed_frames() -> list[np.ndarray]:
    frames = [field(2 * number) for number in range(NUM_FRAMES)]
    for number, frame in enumerate(frames):
        frame[1::2] = field(2 * number + 1)[1::2]
    return frames


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_interlaced_frames_show_their_first_field(media, tmp_path, codec):
    options = {"flags": "+ildct+ilme", "crf": "6"} if codec == "libx264" else {"flags": "+ildct+ilme", "b": "4000000"}
    if codec == "libx264":
        options["x264-params"] = "tff=1"
    path = str(media.encode(tmp_path / "a.mkv", combed_frames(), codec=codec, container="matroska", options=options))
    info = probe(path, LIMITS)
    assert info.interlaced
    assert info.frame_conversion == "deinterlaced"
    window = ClipWindow(start_seconds=info.start_seconds, num_frames=NUM_FRAMES, frame_step=1, fps=25.0)
    frames = decode_clip(path, window, short_side_px=HEIGHT, multiple=1, limits=LIMITS).frames
    for number, frame in enumerate(frames):
        # The second field's own bar would leave a comb of half the contrast beside the first's.
        bars = [field(2 * number + other) for other in (0, 1)]
        errors = [np.abs(frame.astype(int) - bar).mean() for bar in bars]
        assert min(errors) < 8
        assert max(errors) > 20


def test_progressive_video_is_not_deinterlaced(cases):
    info = probe(str(cases["plain"].path), LIMITS)
    assert (info.interlaced, info.frame_conversion) == (False, None)
