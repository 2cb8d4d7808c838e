"""Scenery mixed with prepared clips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_prepared import write_clips, write_prepared

from models.animation.signals import CONTROLS, FACE_CONTROL
from models.pose.pose_augment import ExplicitIndicatorConfig
from models.training.batch import SampleBatch
from models.training.recipe import SamplingConfig, SceneSamplingConfig
from pipelines.training.batches import SampleSource, ray_batches
from pipelines.training.corpus import Corpus, TrainingDataError, open_corpus
from pipelines.training.data_config import TrainingDataConfig
from pipelines.training.samples import UnusableClipError
from pipelines.training.scenery import with_scenery
from pipelines.training.stored_features import stored_features

SAMPLING = SamplingConfig(
    height_px=64, width_px=48, num_frames=3, frame_step=2, sample_margin=2, min_crop_share=0.8, mirror_share=0.5
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(tmp_path_factory.mktemp("prepared"), num_clips=3)


@pytest.fixture(scope="module")
def scenery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("scenery"), num_clips=2)


def mixed(prepared: Path, scenery: Path | None, sampling: SamplingConfig = SAMPLING) -> Corpus:
    corpus = open_corpus(str(prepared), sampling)
    return corpus if scenery is None else with_scenery(corpus, str(scenery), sampling)


def source(corpus: Corpus, sampling: SamplingConfig = SAMPLING, **config: object) -> SampleSource:
    return SampleSource(
        corpus=corpus,
        sampling=sampling,
        config=TrainingDataConfig(cpus=0.5, **config),  # type: ignore[arg-type]  # fields of several types
        preset="embedded",
        seed=7,
        face_form="patches",
    )


def samples(settings: SampleSource, numbers: range) -> SampleBatch:
    maker = settings.maker()
    try:
        return maker.batch(numbers)
    finally:
        maker.close()


def batch_part(batch: SampleBatch, first: int, end: int) -> SampleBatch:
    return SampleBatch.from_columns({name: value[first:end] for name, value in batch.columns().items()})


def assert_equal(one: SampleBatch, other: SampleBatch) -> None:
    columns = other.columns()
    assert columns.keys() == one.columns().keys()
    for name, value in one.columns().items():
        assert np.array_equal(value, columns[name]), name


def test_a_sample_depends_only_on_its_number(ray_cluster: None, prepared: Path, scenery: Path) -> None:
    """Cached and uncached, in one batch, alone, and in Ray's workers."""
    corpus = mixed(prepared, scenery)
    batch = samples(source(corpus), range(8))
    is_scenery = batch.clips_B >= 3
    assert 0 < is_scenery.sum() < 8
    uncached = source(corpus, keep_gib=0.0)
    assert_equal(samples(uncached, range(8)), batch)
    assert_equal(SampleBatch.of([samples(uncached, range(n, n + 1)) for n in range(5, 7)]), batch_part(batch, 5, 7))
    (made,) = ray_batches(uncached, iter([range(8)]))
    assert_equal(made, batch)


def test_scenery_has_no_character(prepared: Path, scenery: Path) -> None:
    batch = samples(source(mixed(prepared, scenery)), range(12))
    is_scenery = batch.clips_B >= 3
    for name in ("poses_BFHWC", "reference_poses_BHWC", "keypoints_BGK3", "pose_keypoints_BFK3"):
        drawn = batch.columns()[name].reshape(12, -1).any(axis=1)
        scores = batch.columns()[name][..., 2].reshape(12, -1).any(axis=1) if name.endswith("K3") else drawn
        assert np.array_equal(scores, ~is_scenery), name
    assert not batch.signals[FACE_CONTROL].any()
    assert batch.signals[FACE_CONTROL].shape == (12, 3, 64, 48, 6)
    assert batch.signals[CONTROLS].tolist() == [[True, False]] * 12
    # Reference and targets are pictures of the scenery in motion.
    assert batch.references_BHWC[is_scenery].std(axis=(1, 2, 3)).min() > 30
    assert (np.abs(np.diff(batch.targets_BFHWC[is_scenery].astype(int), axis=1)).mean(axis=(1, 2, 3, 4)) > 10).all()


def test_samples_of_people_are_those_without_scenery(prepared: Path, scenery: Path) -> None:
    """Bit for bit, skeleton augmentation included."""
    sampling = replace(SAMPLING, explicit_indicator=ExplicitIndicatorConfig(probability=0.8))
    plain, batch = (samples(source(mixed(prepared, which, sampling), sampling), range(10)) for which in (None, scenery))
    people = batch.clips_B < 3
    assert 0 < people.sum() < 10
    columns = batch.columns()
    for name, value in plain.columns().items():
        assert np.array_equal(columns[name][people], value[people]), name
    assert not batch.poses_BFHWC[~people].any()


def test_the_beginning_of_a_clip_is_never_scenery(prepared: Path, scenery: Path) -> None:
    maker = source(mixed(prepared, scenery)).maker()
    clip = maker.beginning(2, num_frames=4)
    maker.close()
    assert clip.clips_B.tolist() == [2]
    assert clip.poses_BFHWC.any()


def test_digest_depends_on_the_scenery(prepared: Path, scenery: Path, tmp_path: Path) -> None:
    plain, with_it = mixed(prepared, None), mixed(prepared, scenery)
    assert plain.digest != with_it.digest
    assert with_it.digest == mixed(prepared, scenery).digest
    other = write_clips(tmp_path, num_clips=2)
    assert mixed(prepared, other).digest != with_it.digest


def test_stored_features_are_not_used_with_scenery(prepared: Path, scenery: Path) -> None:
    reason = stored_features(mixed(prepared, scenery), SAMPLING, frozenset, reference_pictures=False)
    assert reason == "clips without a character have none"


def test_scenery_that_does_not_serve_is_an_error_with_a_remedy(prepared: Path, scenery: Path, tmp_path: Path) -> None:
    corpus = open_corpus(str(prepared), SAMPLING)
    with pytest.raises(TrainingDataError, match="holds no clips; give the folder `clips`"):
        with_scenery(corpus, str(tmp_path), SAMPLING)
    with pytest.raises(TrainingDataError, match=r"one of rows with an outcome; data\.scenery takes"):
        with_scenery(corpus, str(prepared), SAMPLING)
    with pytest.raises(TrainingDataError, match=r"spans 23 frames, the longest of the 2 clips of .* has 12; lower"):
        with_scenery(corpus, str(scenery), replace(SAMPLING, num_frames=12))
    with pytest.raises(TrainingDataError, match=r"sets a character into a scene.*leave data\.scenery out"):
        with_scenery(corpus, str(scenery), replace(SAMPLING, scene=SceneSamplingConfig()))
    names = ["clip_id", "uri", "fingerprint", "size_bytes", "start_seconds", "num_frames"]
    names += ["frame_step", "fps", "width_px", "height_px"]
    table = pq.read_table(prepared / "rows-000000.parquet", columns=names)
    pq.write_table(table, tmp_path / "rows-000000.parquet")
    for known in (corpus, open_corpus(str(prepared), SAMPLING, num_heldout=1)):
        with pytest.raises(TrainingDataError, match=r"3 clips of data\.scenery .* are in .* too \(clip-000, clip-001"):
            with_scenery(known, str(tmp_path), SAMPLING)
    pq.write_table(table.drop_columns("fps"), tmp_path / "rows-000000.parquet")
    with pytest.raises(TrainingDataError, match=r"lacks the columns \['fps'\]"):
        with_scenery(corpus, str(tmp_path), SAMPLING)


def test_clips_that_are_too_short_are_left_out_and_counted(prepared: Path, tmp_path: Path) -> None:
    clips = write_clips(tmp_path, num_clips=2)
    table = pq.read_table(clips / "rows-000000.parquet")
    place = table.schema.get_field_index("num_frames")
    field = table.schema.field(place)
    pq.write_table(table.set_column(place, field, pa.array([4, 5], field.type)), clips / "rows-000000.parquet")
    corpus = mixed(prepared, clips)
    assert corpus.scenery is not None
    assert corpus.scenery["clip_id"].to_pylist() == ["fall-001"]
    assert corpus.num_too_short == 1


def test_scenery_that_is_gone_is_named(prepared: Path, tmp_path: Path) -> None:
    sampling = replace(SAMPLING, scenery_share=1.0)
    corpus = mixed(prepared, write_clips(tmp_path, num_clips=1), sampling)
    (tmp_path / "scenery" / "fall-0.mp4").unlink()
    with pytest.raises(UnusableClipError, match=r"clip fall-000 was ingested, but .*NotFound.* or ingest the videos"):
        samples(source(corpus, sampling), range(1))
