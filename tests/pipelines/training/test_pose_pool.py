from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_prepared import write_prepared

from models.pose.pose_augment import ExplicitIndicatorConfig
from models.training.recipe import SamplingConfig
from pipelines.engine.ledger import Ledger
from pipelines.training.corpus import open_corpus
from stages.io.storage import Storage

SAMPLING = SamplingConfig(height_px=64, width_px=48, num_frames=3)
CHANGED = replace(SAMPLING, explicit_indicator=ExplicitIndicatorConfig())


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(tmp_path_factory.mktemp("prepared"), num_clips=5, failed=1)


def test_anchors_are_skeletons_of_clips_as_shares_of_their_height(prepared: Path) -> None:
    assert open_corpus(str(prepared), SAMPLING).anchors is None
    anchors = open_corpus(str(prepared), CHANGED).anchors
    assert anchors is not None
    assert anchors.shape == (4, 133, 3)
    ledger = Ledger(Storage(str(prepared)), "clip_id")
    for index, anchor in enumerate(anchors):
        row = ledger.read_row("rows-000000.parquet", f"clip-{index:03d}")
        assert row is not None
        in_pixels = anchor * (64, 64, 1)
        assert any(np.allclose(in_pixels, frame, atol=1e-4) for frame in np.asarray(row["keypoints"]))
    few = replace(CHANGED, explicit_indicator=ExplicitIndicatorConfig(pool_size=2))
    fewer = open_corpus(str(prepared), few).anchors
    assert fewer is not None
    assert np.array_equal(fewer, anchors[[0, 3]])
