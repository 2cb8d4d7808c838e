from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from small_prepared import write_prepared

from models.training.recipe import SamplingConfig, SceneSamplingConfig
from pipelines.training.corpus import TrainingDataError, open_corpus

SAMPLING = SamplingConfig(height_px=64, width_px=48, num_frames=3, frame_step=2, sample_margin=2)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(tmp_path_factory.mktemp("prepared"), num_clips=5, failed=1)


def test_corpus_has_ok_and_long_enough_clips_only(prepared: Path) -> None:
    corpus = open_corpus(str(prepared), SAMPLING)
    assert corpus.clips["clip_id"].to_pylist() == [f"clip-{index:03d}" for index in range(4)]
    assert corpus.num_too_short == 0
    assert len(open_corpus(str(prepared), SAMPLING, limit=2).clips) == 2
    with pytest.raises(TrainingDataError, match=r"spans 13 frames, the longest of 4 clips has 12; lower"):
        open_corpus(str(prepared), replace(SAMPLING, num_frames=7))


def test_digest_depends_on_clip_ids_and_work_keys(prepared: Path, tmp_path: Path) -> None:
    digest = open_corpus(str(prepared), SAMPLING).digest
    assert open_corpus(str(prepared), replace(SAMPLING, num_frames=1)).digest == digest
    assert open_corpus(str(prepared), SAMPLING, limit=3).digest != digest
    assert open_corpus(str(write_prepared(tmp_path, num_clips=4)), SAMPLING).digest == digest


@pytest.mark.parametrize("what", ["nothing", "no_ok", "no_keypoints"])
def test_unusable_dataset_is_an_error_with_a_reason(tmp_path: Path, what: str) -> None:
    if what == "nothing":
        with pytest.raises(TrainingDataError, match="holds no prepared clips; give the folder"):
            open_corpus(str(tmp_path), SAMPLING)
    elif what == "no_ok":
        with pytest.raises(TrainingDataError, match="no clip with status ok"):
            open_corpus(str(write_prepared(tmp_path, num_clips=1, failed=1)), SAMPLING)
    else:
        path = write_prepared(tmp_path, num_clips=1) / "rows-000000.parquet"
        pq.write_table(pq.read_table(path).drop_columns("keypoints"), path)
        with pytest.raises(TrainingDataError, match=r"lacks the columns \['keypoints'\]"):
            open_corpus(str(path.parent), SAMPLING)


def test_samples_with_scene_need_masks_objects_and_depth(tmp_path: Path) -> None:
    path = write_prepared(tmp_path, num_clips=1) / "rows-000000.parquet"
    table = pq.read_table(path)
    sampling = replace(SAMPLING, scene=SceneSamplingConfig())
    for without, truth in (("character_mask", False), ("depth_png", False), ("objects", True)):
        pq.write_table(table.drop_columns(without), path)
        with pytest.raises(TrainingDataError, match=rf"lacks the columns \['{without}'\]"):
            open_corpus(str(path.parent), sampling, truth=truth)
        open_corpus(str(path.parent), sampling, truth=not truth)
        open_corpus(str(path.parent), SAMPLING, truth=truth)
