from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scene_sources import ROWS, SAMPLING, samples, source
from small_prepared import write_prepared

from models.animation.signals import AGNOSTIC_MASK
from models.masks.rle import decode, encode
from pipelines.training.samples import UnusableClipError


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(tmp_path_factory.mktemp("prepared"), num_clips=1, scene=True)


def first_clip(prepared: Path, folder: Path, column: str, change: Callable[[Any], Any]) -> Path:
    """The dataset with its first clip alone, and a changed column."""
    table = pq.read_table(prepared / ROWS).slice(0, 1)
    index = table.schema.get_field_index(column)
    values = pa.array([change(table[column][0].as_py())], table.schema.field(index).type)
    (folder / "prepared").mkdir()
    pq.write_table(table.set_column(index, table.schema.field(index), values), folder / "prepared" / ROWS)
    return folder / "prepared"


def without_character(prepared: Path, folder: Path, shown: list[int]) -> Path:
    """The dataset with its first clip alone, and character masks in some frames only."""

    def change(codes: Any) -> Any:
        masks = decode(codes)
        masks[[t for t in range(len(masks)) if t not in shown]] = False
        return encode(masks)

    return first_clip(prepared, folder, "character_mask", change)


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
    with pytest.raises(
        UnusableClipError, match=r"clip-000 shows its character in no frame: each mask covers less than 0\.25%"
    ):
        samples(source(without_character(prepared, tmp_path, [])), range(1))


def test_damaged_masks_are_an_error_naming_the_clip(prepared: Path, tmp_path: Path) -> None:
    def damaged(objects: Any) -> Any:
        objects[0]["masks"][3]["counts"] = b"oo"
        return objects

    with pytest.raises(UnusableClipError, match=r"clip clip-000 .*InvalidRow: mask of frame 3"):
        samples(source(first_clip(prepared, tmp_path, "object_masks", damaged)), range(1))


def test_a_character_too_thin_for_the_samples_size_is_an_error_naming_the_clip(prepared: Path, tmp_path: Path) -> None:
    """A line one pixel wide is gone where the video is decoded at an eighth of its size."""

    def thin(codes: Any) -> Any:
        masks = np.zeros((len(codes), 64, 64), np.bool_)
        masks[:, :, 20] = True
        return encode(masks)

    tiny = replace(SAMPLING, height_px=8, width_px=8, min_crop_share=1.0)
    with pytest.raises(UnusableClipError, match=r"clip clip-000 .*at 8 x 8 pixels nothing is left"):
        samples(source(first_clip(prepared, tmp_path, "character_mask", thin), tiny), range(1))
