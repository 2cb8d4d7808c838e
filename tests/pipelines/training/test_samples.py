from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from small_prepared import FPS, write_prepared

from models.appearance.image_encoder import puppets_image_encoder
from models.appearance.vae import puppets_vae, to_images
from models.pose.pose_augment import ExplicitIndicatorConfig
from models.pose.pose_map import PRESETS, draw_poses
from models.puppets import render, sample_spec
from models.puppets.truth_file import write_truth
from models.training.batch import SampleBatch
from models.training.recipe import SamplingConfig, TrainingRecipe
from pipelines.engine.ledger import Ledger
from pipelines.training.batches import SampleSource, local_batches, micro_batch_indices, ray_batches
from pipelines.training.corpus import open_corpus
from pipelines.training.data_config import TrainingDataConfig
from pipelines.training.samples import UnusableClipError
from pipelines.training.stored_features import StoredFeatures
from stages.io.storage import Storage

SAMPLING = SamplingConfig(
    height_px=64, width_px=48, num_frames=3, frame_step=2, sample_margin=2, min_crop_share=0.8, mirror_share=0.5
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(tmp_path_factory.mktemp("prepared"), num_clips=5, failed=1)


def source(prepared: Path, **config: object) -> SampleSource:
    return SampleSource(
        corpus=open_corpus(str(prepared), SAMPLING),
        sampling=SAMPLING,
        config=TrainingDataConfig(cpus=0.5, **config),  # type: ignore[arg-type]
        preset="embedded",
        seed=7,
    )


def equal(one: SampleBatch, other: SampleBatch) -> bool:
    return all(np.array_equal(value, other.columns()[name]) for name, value in one.columns().items())


def test_a_sample_depends_only_on_its_number(prepared: Path) -> None:
    """Covers cached and partially decoded clips, single samples and batches, and any order."""
    kept, parts = source(prepared).maker(), source(prepared, keep_gib=0.0).maker()
    batch = kept.batch(range(3, 9))
    assert equal(parts.batch(range(3, 9)), batch)
    assert equal(SampleBatch.of([parts.batch([number]) for number in (3, 4, 5, 6, 7, 8)]), batch)
    assert batch.targets_BFHWC.shape == batch.poses_BFHWC.shape == (6, 3, 64, 48, 3)
    assert batch.references_BHWC.shape == (6, 64, 48, 3)
    assert batch.mirrored_B.any()
    assert not batch.mirrored_B.all()
    assert (np.diff(batch.target_frames_BF, axis=1) == 2).all()
    other = replace(source(prepared), seed=8).maker()
    assert not equal(other.batch(range(3, 9)), batch)
    for maker in (kept, parts, other):
        maker.close()


def test_ground_truth_replaces_predicted_keypoints(prepared: Path, tmp_path: Path) -> None:
    """Uses ground truth shifted by three pixels from the keypoints of the corpus."""
    plain = replace(SAMPLING, min_crop_share=1.0, mirror_share=0.0)
    for index in range(5):
        spec = sample_spec(index, size_px=(64, 64), num_shots=1, duration_seconds=1.0, still_camera=True)
        frames = list(render(spec, FPS, 12))
        for frame in frames:
            frame.keypoints[:, 0] += 3
        seconds = [number / FPS for number in range(12)]
        write_truth(tmp_path / f"{index}.npz", frames, frame_seconds=seconds, shot_starts_seconds=[0.0])
    found, true = (
        replace(source(prepared, **truth), sampling=plain).maker() for truth in ({}, {"truth": str(tmp_path)})
    )
    one, other = found.batch(range(4)), true.batch(range(4))
    np.testing.assert_array_equal(one.targets_BFHWC, other.targets_BFHWC)
    np.testing.assert_allclose(other.keypoints_BGK3[..., 0], one.keypoints_BGK3[..., 0] + 3, atol=1e-3)
    assert not np.array_equal(one.poses_BFHWC, other.poses_BFHWC)
    (tmp_path / "2.npz").unlink()
    with pytest.raises(UnusableClipError, match=r"NotFound: .*2\.npz does not exist"):
        replace(source(prepared, truth=str(tmp_path)), sampling=plain).maker().batch(range(5))
    for maker in (found, true):
        maker.close()


def test_skeletons_are_drawn_over_their_own_frames(prepared: Path) -> None:
    """The background is static, so skeletons must be near the pixels that change between two frames."""
    maker = replace(source(prepared), sampling=replace(SAMPLING, min_crop_share=1.0, mirror_share=0.0)).maker()
    batch = maker.batch(range(8))
    maker.close()
    drawn = batch.poses_BFHWC.max(axis=4) > 0
    assert drawn.any(axis=(1, 2, 3)).all()
    moved = np.abs(np.diff(batch.targets_BFHWC.astype(int), axis=1)).max(axis=4) > 40
    near = np.zeros_like(drawn)
    for y in range(-8, 9, 2):
        for x in range(-8, 9, 2):
            near |= np.roll(drawn, (y, x), axis=(2, 3))
    inside = moved & (near[:, :-1] | near[:, 1:])
    assert inside.sum() > 0.8 * moved.sum()


CHANGED = replace(SAMPLING, explicit_indicator=ExplicitIndicatorConfig(probability=0.8))


def changed_source(prepared: Path, **config: object) -> SampleSource:
    return replace(source(prepared, **config), corpus=open_corpus(str(prepared), CHANGED), sampling=CHANGED)


def test_explicit_indicator_changes_drawn_targets_only(prepared: Path) -> None:
    plain, changing = source(prepared).maker(), changed_source(prepared).maker()
    before, after = plain.batch(range(12)).columns(), changing.batch(range(12)).columns()
    for name, value in before.items():
        if name not in ("poses_BFHWC", "pose_keypoints_BFK3"):
            assert np.array_equal(after[name], value), name
    same = [np.array_equal(*drawn) for drawn in zip(before["poses_BFHWC"], after["poses_BFHWC"], strict=True)]
    assert 0 < sum(same) < 6
    shown = changing.beginning(0, num_frames=3).poses_BFHWC
    assert np.array_equal(shown, plain.beginning(0, num_frames=3).poses_BFHWC)
    plain.close()
    changing.close()


def test_an_augmented_sample_depends_only_on_its_number(prepared: Path) -> None:
    one, other = changed_source(prepared).maker(), changed_source(prepared, keep_gib=0.0).maker()
    batch = one.batch(range(3, 9))
    assert equal(SampleBatch.of([other.batch([number]) for number in (3, 4, 5, 6, 7, 8)]), batch)
    reseeded = replace(changed_source(prepared), seed=8).maker()
    assert not equal(reseeded.batch(range(3, 9)), batch)
    for maker in (one, other, reseeded):
        maker.close()


def test_keypoints_agree_with_drawn_skeletons(prepared: Path) -> None:
    """Keypoints are ordered reference first, and cropped and mirrored with the pictures."""
    maker = source(prepared).maker()
    batch = maker.batch(range(6))
    maker.close()
    assert batch.keypoints_BGK3.shape == (6, 4, 133, 3)
    assert batch.keypoints_BGK3.dtype == np.float32
    drawn = np.concatenate([batch.reference_poses_BHWC[:, None], batch.poses_BFHWC], axis=1)
    expected = [draw_poses(row, height_px=64, width_px=48, preset=PRESETS["embedded"]) for row in batch.keypoints_BGK3]
    assert np.array_equal(drawn, np.stack(expected))


def test_beginning_is_uncropped_and_unmirrored(prepared: Path) -> None:
    maker = source(prepared).maker()
    clip = maker.beginning(2, num_frames=5)
    assert clip.target_frames_BF.tolist() == [[0, 1, 2, 3, 4]]
    assert np.array_equal(clip.references_BHWC[0], clip.targets_BFHWC[0, 0])
    assert np.array_equal(clip.reference_poses_BHWC[0], clip.poses_BFHWC[0, 0])
    assert clip.reference_poses_BHWC.any()
    assert maker.beginning(2, num_frames=99).targets_BFHWC.shape[1] == 12
    maker.close()


WHOLE = replace(SAMPLING, width_px=64, min_crop_share=1.0, mirror_share=0.0)


@pytest.fixture(scope="module")
def with_features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(tmp_path_factory.mktemp("features"), num_clips=3, features=True)


def stored_source(prepared: Path, *, reference_pictures: bool, **config: object) -> SampleSource:
    stored = StoredFeatures(latent_shape=(16, 8, 8), embedding_shape=(64,), reference_pictures=reference_pictures)
    corpus = open_corpus(str(prepared), WHOLE)
    return replace(source(prepared, **config), corpus=corpus, sampling=WHOLE, stored=stored)


@pytest.mark.parametrize("keep_gib", [0.0, 1.0])
@pytest.mark.parametrize("reference_pictures", [False, True])
def test_samples_with_stored_features_are_the_same_without_pictures_of_targets(
    with_features: Path, keep_gib: float, reference_pictures: bool
) -> None:
    settings = stored_source(with_features, reference_pictures=reference_pictures, keep_gib=keep_gib)
    stored, decoded = settings.maker(), settings.with_pictures().maker()
    found, expected = stored.batch(range(4)).columns(), decoded.batch(range(4)).columns()
    pictures = np.concatenate([expected["references_BHWC"][:, None], expected["targets_BFHWC"]], 1)
    without = {"targets_BFHWC"} if reference_pictures else {"targets_BFHWC", "references_BHWC"}
    assert found.keys() == expected.keys() - without | {"latents_BGCHW", "embeddings_BGE"}
    for name in found.keys() & expected.keys():
        assert np.array_equal(found[name], expected[name]), name
    images = to_images(pictures.reshape(-1, 64, 64, 3))
    with torch.no_grad():
        for name, encode in (("latents_BGCHW", puppets_vae().encode), ("embeddings_BGE", puppets_image_encoder())):
            assert found[name].dtype == np.float16
            values = encode(images).reshape(found[name].shape).numpy()
            np.testing.assert_allclose(found[name], values, rtol=2e-3, atol=1e-3)
    stored.close()
    decoded.close()


def test_samples_of_stored_features_open_no_video(tmp_path: Path) -> None:
    prepared = write_prepared(tmp_path, num_clips=1, features=True)
    (tmp_path / "videos" / "0.mp4").unlink()
    maker = stored_source(prepared, reference_pictures=False).maker()
    assert maker.batch([0]).latents_BGCHW is not None
    maker.close()
    other = stored_source(prepared, reference_pictures=True).maker()
    with pytest.raises(UnusableClipError, match="clip clip-000"):
        other.batch([0])
    other.close()


def test_stored_features_of_another_shape_are_named(with_features: Path) -> None:
    settings = stored_source(with_features, reference_pictures=False)
    assert settings.stored is not None
    maker = replace(settings, stored=replace(settings.stored, latent_shape=(4, 8, 8))).maker()
    with pytest.raises(UnusableClipError, match=r"InvalidRow: features of shape \(4, 8, 8\) .* got 2048"):
        maker.batch([0])
    maker.close()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_clip_that_is_not_finite_is_refused_by_name(value: float, tmp_path: Path) -> None:
    prepared = write_prepared(tmp_path, num_clips=1)
    (path,) = prepared.glob("rows-*.parquet")
    table = pq.read_table(path)
    (row,) = table.to_pylist()
    row["keypoints"][3][7][0] = value
    pq.write_table(pa.Table.from_pylist([row], schema=table.schema), path)
    maker = source(prepared).maker()
    with pytest.raises(UnusableClipError, match=r"clip-000 .*NotFinite: keypoints: 1 of 4788 values are NaN"):
        maker.batch([0])
    maker.close()


def test_ray_data_passes_stored_features_on(ray_cluster: None, with_features: Path) -> None:
    settings = stored_source(with_features, reference_pictures=True)
    maker = settings.maker()
    for batch, part in zip(ray_batches(settings, iter([range(2), range(2, 4)])), (range(2), range(2, 4)), strict=True):
        assert batch.targets_BFHWC is None
        assert equal(batch, maker.batch(part))
    maker.close()


def test_workers_share_each_step_without_gap_or_overlap() -> None:
    recipe = TrainingRecipe(steps=3, batch_size=12, accumulation=3)
    alone = [list(part) for part in micro_batch_indices(recipe, rank=0, world_size=1, first_step=1)]
    assert [index for part in alone for index in part] == list(range(12, 36))
    parts = [[list(p) for p in micro_batch_indices(recipe, rank=rank, world_size=2, first_step=1)] for rank in range(2)]
    for step in range(2):
        together = [index for worker in parts for part in worker[3 * step : 3 * step + 3] for index in part]
        assert together == list(range(12 + 12 * step, 24 + 12 * step))


def test_local_batches_are_in_order(prepared: Path) -> None:
    maker = source(prepared).maker()
    made = list(local_batches(source(prepared), iter([range(4), range(4, 8), range(8, 12)])))
    assert [batch.samples_B.tolist() for batch in made] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert equal(made[1], maker.batch(range(4, 8)))
    maker.close()


def test_ray_batches_equal_local_batches(ray_cluster: None, prepared: Path) -> None:
    """Uses several rounds of several blocks, and two workers."""
    settings = source(prepared, workers=2, samples_per_round=20)
    numbers = [range(4 * i, 4 * i + 4) for i in range(12)]
    maker = settings.maker()
    made = list(ray_batches(settings, iter(numbers)))
    assert len(made) == 12
    for batch, part in zip(made, numbers, strict=True):
        assert equal(batch, maker.batch(part))
    maker.close()


@pytest.mark.parametrize("by_ray", [False, True])
def test_a_missing_clip_is_an_error_naming_it(request: pytest.FixtureRequest, tmp_path: Path, by_ray: bool) -> None:
    if by_ray:
        request.getfixturevalue("ray_cluster")
    prepared = write_prepared(tmp_path, num_clips=2)
    settings = source(prepared)
    (tmp_path / "videos" / "1.mp4").unlink()
    batches = (ray_batches if by_ray else local_batches)(settings, iter([range(2)]))
    with pytest.raises(UnusableClipError, match=r"clip clip-001 was prepared, but cannot be read any more \(NotFound"):
        list(batches)


def test_a_rewritten_row_is_an_error(tmp_path: Path) -> None:
    prepared = write_prepared(tmp_path, num_clips=1)
    settings = source(prepared)
    ledger = Ledger(Storage(str(prepared)), "clip_id")
    import pyarrow.parquet as pq

    path = prepared / "rows-000000.parquet"
    schema = pq.read_schema(path)
    row = ledger.read_row("rows-000000.parquet", "clip-000")
    assert row is not None
    ledger.commit({**row, "work_key": "newer", "committed_at": 1}, schema)
    ledger.compact()
    maker = settings.maker()
    with pytest.raises(UnusableClipError, match=r"clip-000 .*\(SourceChanged: its row was rewritten"):
        maker.batch([0])
    maker.close()
