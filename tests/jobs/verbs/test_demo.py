from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs.engine.console import Console
from jobs.verbs.demo import CHARACTERS, NUM_PAIRS, NUM_SCENES, draw_requests, shipped_models


@pytest.mark.slow
def test_requests_of_the_demo_cover_every_model_that_ships(tmp_path: Path) -> None:
    requests = pq.read_table(draw_requests(tmp_path, Console(json_only=True))).to_pylist()
    alone, scenes = shipped_models(keeps_scene=False), shipped_models(keeps_scene=True)
    assert {row["model"] for row in requests} == {*alone, *scenes}
    assert len(requests) == NUM_PAIRS * len(alone) + NUM_SCENES * len(scenes)
    assert len({row["request_id"] for row in requests}) == len(requests)
    for row in requests:
        assert Path(row["reference_uri"]).is_file()
        assert Path(row["driving_uri"]).is_file()
        if row["model"] in scenes:
            assert "human" in Path(row["reference_uri"]).name
            assert row["objects"]
            assert all(len(prompt["box"]) == 4 for prompt in row["objects"])
        else:
            assert row["objects"] is None
    pictures = {Path(row["reference_uri"]) for row in requests if row["model"] in scenes}
    assert len(pictures) == NUM_SCENES == len(CHARACTERS["human"])
