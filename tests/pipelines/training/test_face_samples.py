"""Face control of samples, from the clips themselves and from twins."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from small_faces import LEFT, RIGHT, TWIN_LEFT, TWIN_RIGHT, write_faces

from models.animation.signals import CONTROLS, FACE_CONTROL
from models.face.control import face_control
from models.training.batch import SampleBatch
from models.training.recipe import SamplingConfig
from pipelines.training.batches import SampleSource, ray_batches
from pipelines.training.corpus import Corpus, TrainingDataError, open_corpus
from pipelines.training.data_config import TrainingDataConfig
from pipelines.training.samples import UnusableClipError
from pipelines.training.stored_features import stored_features
from pipelines.training.twins import with_twins

SAMPLING = SamplingConfig(
    height_px=96, width_px=80, num_frames=3, sample_margin=2, min_crop_share=0.8, mirror_share=0.5, face_control=True
)
ROWS = "rows-000000.parquet"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("prepared"), num_clips=3)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("twins"), num_clips=3, twins=True)


def source(prepared: Path, faces: Path | None, sampling: SamplingConfig = SAMPLING, **config: object) -> SampleSource:
    corpus = open_corpus(str(prepared), sampling)
    return SampleSource(
        corpus=corpus if faces is None else with_twins(corpus, str(faces), sampling, min_share=1.0),
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


def is_colour(pictures: NDArray[np.uint8], *colours: tuple[int, int, int]) -> NDArray[np.bool_]:
    """(…, H, W): whether a pixel has one of the colours, up to what H.264 loses."""
    return np.any([np.abs(pictures.astype(int) - colour).max(axis=-1) < 40 for colour in colours], axis=0)


@pytest.mark.parametrize("has_twins", [False, True])
def test_the_face_lies_on_the_face_of_the_target(prepared: Path, faces: Path, has_twins: bool) -> None:
    """In cropped and mirrored samples, half by half: the twin has other colours, another place and another width."""
    batch = samples(source(prepared, faces if has_twins else None), range(8))
    assert batch.mirrored_B.any()
    assert not batch.mirrored_B.all()
    control = batch.signals[FACE_CONTROL]
    assert control.shape == (8, 3, 96, 80, 6)
    assert batch.signals[CONTROLS].tolist() == [[True, True]] * 8
    box = control[..., 3:]
    for own, shown in zip((LEFT, RIGHT), (TWIN_LEFT, TWIN_RIGHT) if has_twins else (LEFT, RIGHT), strict=True):
        target, face = is_colour(batch.targets_BFHWC, own), is_colour(box, shown)
        overlap = (target & face).sum(axis=(2, 3)) / (target | face).sum(axis=(2, 3))
        assert overlap.min() > 0.7, overlap
    if has_twins:
        assert not is_colour(box, LEFT, RIGHT).any()
    else:
        # The very pixels of the target, and nothing beside the box.
        assert np.array_equal(box[box.any(axis=-1)], batch.targets_BFHWC[box.any(axis=-1)])
    patches = control[..., :3].any(axis=-1)
    assert patches.any(axis=(2, 3)).all()
    assert patches.mean() < 0.7 * box.any(axis=-1).mean()


def test_a_sample_depends_only_on_its_number(ray_cluster: None, prepared: Path, faces: Path) -> None:
    """Cached and uncached, and in Ray's workers."""
    settings = source(prepared, faces)
    expected = samples(settings, range(4)).columns()
    uncached = source(prepared, faces, keep_gib=0.0)
    (made,) = ray_batches(settings, iter([range(4)]))
    for batch in (samples(uncached, range(4)), made):
        assert all(np.array_equal(value, expected[name]) for name, value in batch.columns().items())


def test_face_control_changes_nothing_else(prepared: Path, faces: Path) -> None:
    """Without it, faces are black and the twins are not even opened."""
    without = replace(SAMPLING, face_control=False)
    settings = source(prepared, None, without)
    plain, batch = samples(settings, range(4)), samples(source(prepared, faces), range(4))
    assert not plain.signals[FACE_CONTROL].any()
    assert plain.signals[FACE_CONTROL].shape == batch.signals[FACE_CONTROL].shape
    assert plain.signals[CONTROLS].tolist() == [[True, False]] * 4
    columns = batch.columns()
    for name, value in plain.columns().items():
        assert np.array_equal(columns[name], value) == (name not in ("signal:face_control", "signal:controls")), name
    assert not samples(replace(settings, face_form=None), range(1)).signals


def test_a_twin_that_shows_no_face_leaves_the_body_alone(prepared: Path, tmp_path: Path) -> None:
    """As in a request whose driving video shows no face; the other samples keep theirs."""
    faces = write_faces(tmp_path, num_clips=3, twins=True, faceless={1})
    batch = samples(source(prepared, faces), range(8))
    is_faceless = batch.clips_B == 1
    assert is_faceless.any()
    assert not is_faceless.all()
    assert np.array_equal(batch.signals[CONTROLS], np.stack([np.ones(8, bool), ~is_faceless], axis=1))
    assert np.array_equal(batch.signals[FACE_CONTROL].any(axis=(1, 2, 3, 4)), ~is_faceless)


def test_landmarks_in_place_of_patches(prepared: Path, faces: Path) -> None:
    dots = samples(replace(source(prepared, faces), face_form="landmarks"), range(4)).signals[FACE_CONTROL]
    assert set(np.unique(dots)) == {0, 255}
    assert (dots[..., 3:].any(axis=-1).sum(axis=(2, 3)) > dots[..., :3].any(axis=-1).sum(axis=(2, 3))).all()


def test_faces_are_drawn_at_the_keypoints_of_the_sample(prepared: Path) -> None:
    """Face control of a request with these frames and keypoints."""
    batch = samples(source(prepared, None), range(2))
    for row in range(2):
        drawn = face_control(
            batch.targets_BFHWC[row],
            batch.keypoints_BGK3[row, 1:],
            batch.pose_keypoints_BFK3[row],
            size_px=(96, 80),
        )
        assert np.array_equal(drawn.pictures_THWC6, batch.signals[FACE_CONTROL][row])


def test_clips_without_their_twin_are_left_out_and_named(prepared: Path, faces: Path, tmp_path: Path) -> None:
    corpus = open_corpus(str(prepared), SAMPLING)
    table = pq.read_table(faces / ROWS)

    def changed(changes: dict[str, list[object]]) -> str:
        other = table
        for name, values in changes.items():
            place = table.schema.get_field_index(name)
            column = pa.array(values, table.schema.field(name).type)
            other = other.set_column(place, table.schema.field(name), column)
        pq.write_table(other, tmp_path / ROWS)
        return str(tmp_path)

    def clips_of(some: Corpus | None) -> list[object]:
        assert some is not None
        return some.clips["clip_id"].to_pylist()

    absent = (
        r"of 3 clips, 2 without a twin with status ok and enough frames \(clip-000, clip-002\) in data\.faces \(.*\)"
    )
    two_left: dict[str, list[object]] = {"status": ["rejected", "ok", "failed"]}
    with pytest.raises(TrainingDataError, match=absent + r"; 1 remain, expected at least 2 \(data\.min_faces_share"):
        with_twins(corpus, changed(two_left), SAMPLING, min_share=0.5)
    one = with_twins(corpus, changed(two_left), SAMPLING, min_share=0.3)
    assert clips_of(one) == clips_of(one.twins) == ["clip-001"]
    assert re.fullmatch(absent + "; these are left out", *one.left_out)
    assert one.digest != with_twins(corpus, str(faces), SAMPLING, min_share=1.0).digest
    for name, values in {"num_frames": [10, 9, 10], "fps": [12.0, 15.0, 12.0], "start_seconds": [0.0, 0.1, 0]}.items():
        two = with_twins(corpus, changed({name: values}), SAMPLING, min_share=0.5)
        assert clips_of(two) == clips_of(two.twins) == ["clip-000", "clip-002"]
        assert "1 with one of another length, time or frame rate (clip-001)" in two.left_out[0]
    both = changed({"status": ["ok", "failed", "ok"], "num_frames": [10, 10, 9]})
    (said,) = with_twins(corpus, both, SAMPLING, min_share=0.3).left_out
    assert "1 without a twin with status ok and enough frames (clip-001) and 1 with one of another length" in said
    with pytest.raises(TrainingDataError, match="0 remain, expected at least 1"):
        with_twins(corpus, changed({"start_seconds": [1.0, 1.0, 1.0]}), SAMPLING, min_share=0.0)
    with pytest.raises(TrainingDataError, match="holds no prepared clips"):
        with_twins(corpus, str(tmp_path / "nothing"), SAMPLING, min_share=0.5)
    # In another order, and more of them: each clip finds its own.
    pq.write_table(table.take(pa.array([2, 0, 1])), tmp_path / ROWS)
    whole = with_twins(replace(corpus, clips=corpus.clips.slice(1)), str(tmp_path), SAMPLING, min_share=1.0)
    assert clips_of(whole.twins) == ["clip-001", "clip-002"]
    assert whole.left_out == ()


def test_a_twin_that_is_gone_is_named(prepared: Path, tmp_path: Path) -> None:
    settings = source(prepared, write_faces(tmp_path, num_clips=3, twins=True))
    for video in (tmp_path / "videos").iterdir():
        video.unlink()
    with pytest.raises(UnusableClipError, match=r"clip clip-\d+ .*NotFound: its twin in data.faces: .*mp4"):
        samples(settings, range(1))


def test_digest_depends_on_the_twins(prepared: Path, faces: Path) -> None:
    assert source(prepared, None).corpus.digest != source(prepared, faces).corpus.digest


def test_self_driven_faces_need_pictures(prepared: Path) -> None:
    plain = replace(SAMPLING, min_crop_share=1.0, mirror_share=0.0)
    corpus = open_corpus(str(prepared), plain)
    assert stored_features(corpus, plain, frozenset, reference_pictures=False) == "faces are cut out of the frames"
