import json

import numpy as np
import pytest
from golden import GOLDEN
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load_file

from models.masks.agnostic import Blocks, agnostic_masks, draw_blocks
from models.masks.boxes import bounding_boxes

masks_thw = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=20))
block_numbers = st.builds(Blocks, st.integers(1, 25), st.integers(1, 25))


def boxes_filled(masks):
    filled = np.zeros_like(masks)
    for mask, (x0, y0, x1, y1) in zip(filled, bounding_boxes(masks), strict=True):
        mask[y0:y1, x0:x1] = True
    return filled


@given(masks_thw, st.none() | block_numbers)
def test_contains_the_mask_and_stays_in_its_box(masks, blocks):
    filled = agnostic_masks(masks, blocks)
    assert filled.dtype == np.bool_
    assert (filled >= masks).all()
    assert (filled <= boxes_filled(masks)).all()


@given(masks_thw)
def test_one_block_is_the_box(masks):
    assert np.array_equal(agnostic_masks(masks, Blocks(1, 1)), boxes_filled(masks))


@given(masks_thw)
def test_blocks_of_one_pixel_are_the_mask(masks):
    assert np.array_equal(agnostic_masks(masks, Blocks(*masks.shape[1:])), masks)


@given(masks_thw, block_numbers, st.integers(1, 4), st.integers(1, 4))
def test_subdividing_blocks_only_removes_pixels(masks, blocks, times_high, times_wide):
    finer = Blocks(blocks.high * times_high, blocks.wide * times_wide)
    assert (agnostic_masks(masks, finer) <= agnostic_masks(masks, blocks)).all()


@given(masks_thw, st.none() | block_numbers, st.integers(0, 9), st.integers(0, 9))
def test_moves_with_the_mask(masks, blocks, right, down):
    moved = np.pad(masks, ((0, 0), (down, 9 - down), (right, 9 - right)))
    want = np.pad(agnostic_masks(masks, blocks), ((0, 0), (down, 9 - down), (right, 9 - right)))
    assert np.array_equal(agnostic_masks(moved, blocks), want)


@given(masks_thw, block_numbers)
def test_every_block_is_its_maximum(masks, blocks):
    for mask, filled, (x0, y0, x1, y1) in zip(masks, agnostic_masks(masks, blocks), bounding_boxes(masks), strict=True):
        high, wide = min(blocks.high, y1 - y0), min(blocks.wide, x1 - x0)
        for i in range(high):
            for j in range(wide):
                block = np.s_[
                    y0 + i * (y1 - y0) // high : y0 + (i + 1) * (y1 - y0) // high,
                    x0 + j * (x1 - x0) // wide : x0 + (j + 1) * (x1 - x0) // wide,
                ]
                assert (filled[block] == mask[block].max()).all()


def test_inference_blocks_are_about_ten_pixels():
    mask = np.zeros((1, 120, 90), np.bool_)
    mask[0, 10:110, 20] = mask[0, 10, 20:70] = True
    filled = agnostic_masks(mask)
    assert filled[0, 10:110, 20:30].all()
    assert filled[0, 10:20, 20:70].all()
    assert filled.sum() == 100 * 10 + 40 * 10


def test_empty_frames_stay_empty():
    masks = np.zeros((3, 8, 8), np.bool_)
    masks[1, 2:5, 3:6] = True
    filled = agnostic_masks(masks)
    assert filled.any(axis=(1, 2)).tolist() == [False, True, False]


@given(masks_thw, st.integers(0, 2**63 - 1))
def test_draws_are_deterministic_and_within_the_largest_box(masks, seed):
    blocks = draw_blocks(masks, seed)
    x0, y0, x1, y1 = bounding_boxes(masks).T
    assert blocks == draw_blocks(masks, seed)
    assert 1 <= blocks.high <= max(1, (y1 - y0).max())
    assert 1 <= blocks.wide <= max(1, (x1 - x0).max())


def test_draws_reach_both_ends():
    masks = np.ones((1, 4, 3), np.bool_)
    drawn = {draw_blocks(masks, seed) for seed in range(300)}
    assert drawn == {Blocks(high, wide) for high in range(1, 5) for wide in range(1, 4)}


def test_refuses_zero_blocks():
    with pytest.raises(ValueError, match="at least 1"):
        agnostic_masks(np.ones((1, 4, 4), np.bool_), Blocks(0, 2))


def golden_rows():
    """Results of Wan-Animate's `get_aug_mask` that our definition must reproduce: name, mask, box, blocks, result.

    It uses the last row and column of the box as an exclusive end, so that they never join a block: its blocks are
    those of the mask without that row and column. Where the number of blocks does not divide the box, it keeps blocks
    of int(size / k) and adds another for the rest; there the definitions differ, and the row is left out.
    """
    case = json.loads((GOLDEN / "masks" / "case.json").read_text())
    tensors = load_file(GOLDEN / "masks" / "outputs.safetensors")
    rows = []
    for row in case["rows"]:
        if "output" not in row:
            continue
        height, width = case["shapes"][row["mask"]]
        source, output = (
            np.unpackbits(tensors[name])[: height * width].reshape(height, width).astype(bool)
            for name in (f"{row['mask']}.{row['source']}", row["output"])
        )
        x0, y0, x1, y1 = bounding_boxes(source[None])[0]
        inner = np.zeros_like(source)
        inner[y0 : y1 - 1, x0 : x1 - 1] = True
        # Ours takes the box from the mask: the two boxes are alike where the mask without that row and column still
        # reaches all four sides.
        same_box = (bounding_boxes((source & inner)[None])[0] == (x0, y0, x1 - 1, y1 - 1)).all()
        if same_box and (y1 - 1 - y0) % row["h_len"] == 0 and (x1 - 1 - x0) % row["w_len"] == 0:
            rows.append((row["output"], source, inner, Blocks(row["h_len"], row["w_len"]), output))
    return rows


def test_agrees_with_wan_animate_where_the_definitions_coincide():
    rows = golden_rows()
    assert len(rows) >= 10
    for name, source, inner, blocks, output in rows:
        ours = agnostic_masks((source & inner)[None], blocks)[0] | (source & ~inner)
        assert np.array_equal(ours, output), name
