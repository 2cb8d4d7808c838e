from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from models.video.encode import write_h264
from pipelines.engine.sources import find_sources
from stages.io.clip_reader import ClipReader, DecodeConfig
from stages.outcome import BadRow


def test_a_file_whose_name_is_not_utf_8_is_read_until_its_content_changes(tmp_path: Path) -> None:
    write_h264(tmp_path / "a.mp4", (np.full((48, 64, 3), i, np.uint8) for i in range(12)), fps=12)
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    (tmp_path / "a.mp4").rename(path)
    (uri,) = find_sources([str(tmp_path)], ["file"])["uri"].to_pylist()
    reader = ClipReader(DecodeConfig())
    try:
        facts = reader.inspect(uri)
        clip = {**facts, "uri": uri, "start_seconds": 0.0, "num_frames": 6, "frame_step": 1}
        assert reader.frames(clip).frames.shape == (6, 48, 64, 3)
        before = path.stat()
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        with pytest.raises(BadRow, match="SourceChanged"):
            reader.frames(clip)
    finally:
        reader.close()
