from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_prepared import write_prepared

from pipelines.engine.rows import to_row
from stages.base import Row


@pytest.fixture(scope="session")
def prepared_clip(tmp_path_factory: pytest.TempPathFactory) -> Row:
    """Columns of a request that names a prepared clip with an object, and the row of the clip in `stored`."""
    dataset = write_prepared(
        tmp_path_factory.mktemp("prepared"), num_clips=3, num_frames=4, size_px=(96, 64), scene=True
    )
    url = str(dataset / "rows-000000.parquet")
    table = pq.read_table(url)
    stored = next(row for row in (to_row(table, n) for n in range(3)) if row["object_masks"])
    clip = {**stored, "keypoints_file": url}
    frames = np.zeros((4, 192, 128, 3), np.uint8)
    return {"clip": clip, "clip_id": stored["clip_id"], "driving_frames": frames, "stored": stored}
