from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_prepared import write_prepared

from models.animation.signals import (
    AGNOSTIC_MASK,
    OBJECT_FRAMES,
    OBJECT_MASK,
    REFERENCE_MASK,
    SCENE_FRAMES,
    SCENE_SIGNALS,
    STRUCTURED_DEPTH,
)
from models.masks.agnostic import agnostic_masks
from models.masks.rle import decode, encode
from models.pose.pose_map import PRESETS, draw_poses
from models.pose.skeleton import MIRROR
from models.training.batch import SampleBatch
from models.training.recipe import SamplingConfig, SceneSamplingConfig
from pipelines.training.batches import SampleSource, ray_batches
from pipelines.training.corpus import open_corpus
from pipelines.training.samples import TrainingDataConfig, UnusableClipError

SAMPLING = SamplingConfig(
    height_px=64,
    width_px=48,
    num_frames=3,
    frame_step=2,
    sample_margin=2,
    min_crop_share=0.8,
    mirror_share=0.5,
    scene=SceneSamplingConfig(scale_share=0.5, max_scale=1.3, known_share=0.3),
)
WHOLE = replace(SAMPLING, width_px=64, min_crop_share=1.0, mirror_share=0.0, scene=SceneSamplingConfig(scale_share=0.0))
ROWS = "rows-000000.parquet"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(tmp_path_factory.mktemp("prepared"), num_clips=5, scene=True)


def source(prepared: Path, sampling: SamplingConfig = SAMPLING, **config: object) -> SampleSource:
    truth = config.get("truth")
    return SampleSource(
        corpus=open_corpus(str(prepared), sampling, truth=truth is not None),
        sampling=sampling,
        config=TrainingDataConfig(cpus=0.5, **config),  # type: ignore[arg-type]
        preset="embedded",
        seed=7,
    )


def samples(settings: SampleSource, numbers: range) -> SampleBatch:
    maker = settings.maker()
    try:
        return maker.batch(numbers)
    finally:
        maker.close()


def assert_equal(one: SampleBatch, other: SampleBatch) -> None:
    assert one.columns().keys() == other.columns().keys()
    for name, value in one.columns().items():
        assert np.array_equal(value, other.columns()[name]), name


def masks_of(prepared: Path, batch: SampleBatch) -> np.ndarray:
    """Character masks (B, F, H, W) of the whole frames of the targets."""
    rows = pq.read_table(prepared / ROWS, columns=["character_mask"])["character_mask"]
    decoded = [decode(rows[clip].as_py()) for clip in range(len(rows))]
    return np.stack([decoded[clip][frames] for clip, frames in zip(batch.clips_B, batch.target_frames_BF, strict=True)])


def test_a_sample_has_every_signal_of_the_scene(prepared: Path) -> None:
    batch = samples(source(prepared), range(4))
    assert set(batch.signals) == {*SCENE_SIGNALS, REFERENCE_MASK}
    shapes = {name: (array.shape, array.dtype.name) for name, array in batch.signals.items()}
    assert shapes == {
        SCENE_FRAMES: ((4, 3, 64, 48, 3), "uint8"),
        AGNOSTIC_MASK: ((4, 3, 64, 48), "bool"),
        OBJECT_FRAMES: ((4, 3, 64, 48, 3), "uint8"),
        OBJECT_MASK: ((4, 3, 64, 48), "bool"),
        STRUCTURED_DEPTH: ((4, 3, 64, 48), "uint8"),
        REFERENCE_MASK: ((4, 64, 48), "bool"),
    }
    hidden, depth = batch.signals[OBJECT_MASK], batch.signals[STRUCTURED_DEPTH]
    assert np.array_equal(batch.signals[OBJECT_FRAMES], batch.targets_BFHWC * hidden[..., None])
    assert hidden.any()
    assert {0, 1, 255} <= set(np.unique(depth))


def test_a_sample_depends_only_on_its_number(prepared: Path) -> None:
    """Covers cached, partly cached and uncached clips, single samples and batches, and any order."""
    kept, parts = source(prepared).maker(), source(prepared, keep_gib=0.0).maker()
    batch = kept.batch(range(3, 9))
    assert_equal(parts.batch(range(3, 9)), batch)
    # The masks of all clips fit into this, and their frames do not.
    without_frames = source(prepared, keep_gib=0.001).maker()
    without_frames.batch(range(5))
    assert_equal(without_frames.batch(range(3, 9)), batch)
    without_frames.close()
    assert_equal(SampleBatch.of([parts.batch([number]) for number in (3, 4, 5, 6, 7, 8)]), batch)
    assert batch.mirrored_B.any()
    assert not batch.mirrored_B.all()
    kept.close()
    parts.close()
    other = samples(replace(source(prepared), seed=8), range(3, 9))
    assert not np.array_equal(other.signals[AGNOSTIC_MASK], batch.signals[AGNOSTIC_MASK])


def test_workers_make_the_same_samples(ray_cluster: None, prepared: Path) -> None:
    settings = source(prepared, workers=2)
    for batch, part in zip(ray_batches(settings, iter([range(2), range(2, 4)])), (range(2), range(2, 4)), strict=True):
        assert_equal(batch, samples(settings, part))


def test_the_scene_changes_nothing_else(prepared: Path) -> None:
    """Without enlarging, targets and their skeletons are those of samples without a scene."""
    unscaled = replace(SAMPLING, scene=SceneSamplingConfig(scale_share=0.0))
    plain, batch = (
        samples(source(prepared, sampling), range(6)) for sampling in (replace(SAMPLING, scene=None), unscaled)
    )
    columns = batch.columns()
    for name, value in plain.columns().items():
        if name == "keypoints_BGK3":
            assert np.array_equal(columns[name][:, 1:], value[:, 1:])
        elif name not in ("references_BHWC", "reference_poses_BHWC"):
            assert np.array_equal(columns[name], value), name
    assert np.array_equal(batch.signals[SCENE_FRAMES], batch.targets_BFHWC)


def test_masks_are_cut_and_mirrored_with_the_frames(prepared: Path) -> None:
    """With exact masks, the hidden area is the character's mask, cut as the sample's frames are."""
    exact = replace(SAMPLING, scene=SceneSamplingConfig(mask="exact", scale_share=0.0))
    batch = samples(source(prepared, exact), range(8))
    assert batch.mirrored_B.any()
    frames = samples(source(prepared, replace(exact, scene=None)), range(8)).targets_BFHWC
    assert np.array_equal(frames, batch.targets_BFHWC)
    for row, mirrored in enumerate(batch.mirrored_B):
        hidden, poses = batch.signals[AGNOSTIC_MASK][row], batch.poses_BFHWC[row].max(axis=3) > 0
        # The body's joints are inside the mask, unless something hides them.
        points = np.rint(batch.keypoints_BGK3[row, 1:, 5:17]).astype(int)
        seen = (points[..., 2] > 0) & (points[..., 0] >= 0) & (points[..., 0] < 48) & (points[..., 1] < 64)
        frame, joint = np.nonzero(seen & (points[..., 1] >= 0))
        x, y = points[frame, joint, 0], points[frame, joint, 1]
        near = np.zeros_like(hidden)
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                near |= np.roll(hidden, (dy, dx), axis=(1, 2))
        assert near[frame, y, x].mean() > 0.75, (row, mirrored)
        assert (batch.signals[STRUCTURED_DEPTH][row] > 0)[~poses].mean() < 0.02


def test_the_hidden_area_follows_the_rule(prepared: Path) -> None:
    rules = {
        rule: samples(source(prepared, replace(WHOLE, scene=SceneSamplingConfig(mask=rule, scale_share=0.0))), range(6))
        for rule in ("agnostic", "box", "exact")
    }
    hidden = {rule: batch.signals[AGNOSTIC_MASK] for rule, batch in rules.items()}
    assert np.array_equal(hidden["exact"], masks_of(prepared, rules["exact"]))
    assert (hidden["exact"] <= hidden["agnostic"]).all()
    assert (hidden["agnostic"] <= hidden["box"]).all()
    assert hidden["exact"].sum() < hidden["agnostic"].sum() < hidden["box"].sum()


def test_an_enlarged_character_exceeds_the_mask_of_its_size(prepared: Path) -> None:
    scaled = replace(WHOLE, scene=SceneSamplingConfig(scale_share=1.0, max_scale=1.4))
    plain, batch = (samples(source(prepared, sampling), range(6)) for sampling in (WHOLE, scaled))
    assert np.array_equal(batch.signals[AGNOSTIC_MASK], plain.signals[AGNOSTIC_MASK])
    changed = (batch.targets_BFHWC != plain.targets_BFHWC).any(axis=4)
    assert changed[~batch.signals[AGNOSTIC_MASK]].any()
    # The scene is that of the plain sample, where no object was or is.
    objects = plain.signals[OBJECT_MASK] | batch.signals[OBJECT_MASK] | batch.signals[AGNOSTIC_MASK]
    assert np.array_equal(batch.signals[SCENE_FRAMES][~objects], plain.targets_BFHWC[~objects])
    # Keypoints move away from the ground, by one factor in all frames of a sample.
    moved, still = batch.keypoints_BGK3[:, 1:, 5:13, 1], plain.keypoints_BGK3[:, 1:, 5:13, 1]
    heights = np.ptp(moved, axis=2) / np.ptp(still, axis=2)
    np.testing.assert_allclose(heights, np.broadcast_to(heights[:, :1], heights.shape), rtol=1e-3)
    assert heights.min() > 1
    assert heights.max() < 1.4
    drawn = np.stack(
        [draw_poses(row, height_px=64, width_px=64, preset=PRESETS["embedded"]) for row in batch.pose_keypoints_BFK3]
    )
    assert np.array_equal(drawn, batch.poses_BFHWC)


def test_known_frames_are_given_whole(prepared: Path) -> None:
    known = SceneSamplingConfig(scale_share=0.5, known_share=1.0, known_frames=2)
    batch = samples(source(prepared, replace(SAMPLING, scene=known)), range(6))
    assert not batch.signals[AGNOSTIC_MASK][:, :2].any()
    assert batch.signals[AGNOSTIC_MASK][:, 2].any(axis=(1, 2)).all()
    assert np.array_equal(batch.signals[SCENE_FRAMES][:, :2], batch.targets_BFHWC[:, :2])


def test_the_reference_is_the_character_alone(prepared: Path) -> None:
    batch = samples(source(prepared), range(12))
    masks = batch.signals[REFERENCE_MASK]
    rows, columns = masks.any(axis=2), masks.any(axis=1)
    heights, widths = rows.sum(axis=1), columns.sum(axis=1)
    assert (np.maximum(heights / 64, widths / 48) > 0.7).all()
    for picture, mask, keypoints, pose in zip(
        batch.references_BHWC, masks, batch.keypoints_BGK3[:, 0], batch.reference_poses_BHWC, strict=True
    ):
        assert np.array_equal(
            pose, draw_poses(keypoints[None], height_px=64, width_px=48, preset=PRESETS["embedded"])[0]
        )
        x, y = np.rint(keypoints[5:17, :2]).astype(int).T
        shown = (keypoints[5:17, 2] > 0) & (x >= 0) & (x < 48) & (y >= 0) & (y < 64)
        assert mask[y[shown], x[shown]].mean() > 0.6
        # A background has few edges, a room has many.
        assert np.abs(np.diff(picture.astype(int), axis=0))[~mask[1:] & ~mask[:-1]].mean() < 10


def test_mirrored_samples_are_mirror_images(prepared: Path) -> None:
    whole = replace(WHOLE, scene=SceneSamplingConfig(mask="exact", scale_share=0.0))
    plain, mirrored = (samples(source(prepared, replace(whole, mirror_share=share)), range(6)) for share in (0.0, 1.0))
    for name, array in plain.signals.items():
        axis = 2 if name == REFERENCE_MASK else 3
        flipped = np.flip(mirrored.signals[name], axis=axis)
        if name == STRUCTURED_DEPTH:
            # Lines are not drawn alike in both directions.
            assert ((flipped > 0) != (array > 0)).mean() < 0.03
            assert np.abs(flipped.astype(int) - array)[(flipped > 0) & (array > 0)].mean() < 6
        else:
            assert np.array_equal(flipped, array), name
    masks = plain.signals[REFERENCE_MASK]
    assert np.array_equal(mirrored.references_BHWC[:, :, ::-1][masks], plain.references_BHWC[masks])
    expected = plain.keypoints_BGK3[:, :, MIRROR]
    expected[..., 0] = 63 - expected[..., 0]
    np.testing.assert_allclose(mirrored.keypoints_BGK3, expected, atol=1e-4)


def test_ground_truth_replaces_masks_and_depth(prepared: Path, tmp_path: Path) -> None:
    """The rows' masks are emptied: those of the ground truth are read."""
    (tmp_path / "prepared").mkdir()
    table = pq.read_table(prepared / ROWS)
    for name in ("character_mask", "object_masks", "depth_png"):
        nothing = pa.nulls(len(table), table.schema.field(name).type)
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), nothing)
    pq.write_table(table, tmp_path / "prepared" / ROWS)
    truth = {"truth": str(prepared.parent / "truth")}
    expected = samples(source(prepared, WHOLE, **truth), range(5))
    assert_equal(samples(source(tmp_path / "prepared", WHOLE, **truth), range(5)), expected)
    assert_equal(samples(source(tmp_path / "prepared", WHOLE, keep_gib=0.0, **truth), range(5)), expected)
    of_rows = samples(source(prepared, WHOLE), range(5))
    for name in (AGNOSTIC_MASK, OBJECT_MASK, SCENE_FRAMES, REFERENCE_MASK):
        assert np.array_equal(of_rows.signals[name], expected.signals[name]), name
    both = (of_rows.signals[STRUCTURED_DEPTH] > 0) & (expected.signals[STRUCTURED_DEPTH] > 0)
    assert both.sum() > 0.9 * (expected.signals[STRUCTURED_DEPTH] > 0).sum()
    with pytest.raises(UnusableClipError, match=r"clip-\d+ .*InvalidRow: its row has no character_mask, object_masks"):
        samples(source(tmp_path / "prepared", WHOLE), range(1))


def test_beginning_follows_the_rule_of_inference(prepared: Path) -> None:
    maker = source(prepared, replace(SAMPLING, width_px=64)).maker()
    clip = maker.beginning(2, num_frames=5)
    assert_equal(clip, maker.beginning(2, num_frames=5))
    maker.close()
    masks = masks_of(prepared, clip)
    assert np.array_equal(clip.signals[AGNOSTIC_MASK], agnostic_masks(masks[0])[None])
    assert np.array_equal(clip.signals[SCENE_FRAMES], clip.targets_BFHWC)
    assert clip.reference_frames_B.tolist() == [0]


def without_character(prepared: Path, folder: Path, shown: list[int]) -> Path:
    """The dataset with character masks in some frames only, and its first clip alone."""
    table = pq.read_table(prepared / ROWS).slice(0, 1)
    masks = decode(table["character_mask"][0].as_py())
    masks[[t for t in range(len(masks)) if t not in shown]] = False
    column = pa.array([encode(masks)], table.schema.field("character_mask").type)
    index = table.schema.get_field_index("character_mask")
    (folder / "prepared").mkdir()
    pq.write_table(table.set_column(index, table.schema.field(index), column), folder / "prepared" / ROWS)
    return folder / "prepared"


def test_a_frame_without_the_character_is_no_reference(prepared: Path, tmp_path: Path) -> None:
    some = without_character(prepared, tmp_path, [2, 9])
    batch = samples(source(some), range(12))
    assert set(batch.reference_frames_B) == {2, 9}
    shown = np.isin(batch.target_frames_BF, [2, 9])
    empty = ~batch.signals[AGNOSTIC_MASK].any(axis=(2, 3))
    assert empty[~shown].all()
    maker = source(some).maker()
    assert maker.beginning(0, num_frames=3).reference_frames_B.tolist() == [2]
    maker.close()


def test_a_clip_without_the_character_is_an_error_naming_it(prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(UnusableClipError, match="clip clip-000 shows its character in no frame"):
        samples(source(without_character(prepared, tmp_path, [])), range(1))


def test_damaged_masks_are_an_error_naming_the_clip(prepared: Path, tmp_path: Path) -> None:
    table = pq.read_table(prepared / ROWS).slice(0, 1)
    codes = table["object_masks"][0].as_py()
    codes[0]["masks"][3]["counts"] = b"oo"
    index = table.schema.get_field_index("object_masks")
    column = pa.array([codes], table.schema.field(index).type)
    (tmp_path / "prepared").mkdir()
    pq.write_table(table.set_column(index, table.schema.field(index), column), tmp_path / "prepared" / ROWS)
    with pytest.raises(UnusableClipError, match=r"clip clip-000 .*InvalidRow: mask of frame 3"):
        samples(source(tmp_path / "prepared"), range(1))
