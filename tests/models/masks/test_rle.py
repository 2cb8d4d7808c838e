import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from models.masks import rle

masks_thw = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=24))


@given(masks_thw)
def test_round_trip(masks):
    decoded = rle.decode(rle.encode(masks))
    assert decoded.dtype == np.bool_
    assert np.array_equal(decoded, masks)


@given(masks_thw)
def test_pycocotools_reads_the_same_mask(masks):
    codes = rle.encode(masks)
    assert np.array_equal(coco.decode(codes).transpose(2, 0, 1).astype(bool), masks)
    assert all(type(side) is int for code in codes for side in code["size"])


def test_long_runs_round_trip():
    masks = np.zeros((2, 700, 900), np.bool_)
    masks[0, 650:, 450:] = True
    masks[1] = True
    assert np.array_equal(rle.decode(rle.encode(masks)), masks)


def test_an_empty_clip_gives_no_codes():
    assert rle.encode(np.zeros((0, 4, 5), np.bool_)) == []


@pytest.mark.parametrize(
    "masks", [np.zeros((2, 3), np.bool_), np.zeros((1, 2, 3), np.uint8), np.zeros((1, 0, 3), np.bool_)]
)
def test_encode_refuses_other_arrays(masks):
    with pytest.raises(ValueError, match=r"bool \(T, H, W\)"):
        rle.encode(masks)


GOOD = rle.encode(np.eye(6, dtype=np.bool_)[None])[0]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ({"size": [6, 6], "counts": b""}, "not a COCO run-length code"),
        ({"size": [6, 6], "counts": b"0"}, "cover 0 pixels"),
        ({"size": [6, 6], "counts": b"xx"}, "not a COCO run-length code"),
        ({"size": [6, 6], "counts": b"\xff\xfe"}, "not a COCO run-length code"),
        ({"size": [6, 6], "counts": b"R" * 20 + b"0"}, "groups"),
        ({"size": [6, 6], "counts": b"O0"}, "a run length is -1"),
        ({"size": [7, 6], "counts": GOOD["counts"]}, "cover 36 pixels, expected 7 x 6"),
        ({"size": [-6, 6], "counts": GOOD["counts"]}, "expected 1 to"),
        ({"size": [10**6, 10**6], "counts": GOOD["counts"]}, "expected 1 to"),
        ({"size": [6], "counts": GOOD["counts"]}, "'size' of"),
        ({"counts": GOOD["counts"]}, "'size' of"),
    ],
)
def test_decode_names_the_damaged_frame(code, message):
    with pytest.raises(ValueError, match=message) as caught:
        rle.decode([code])
    assert "frame 0" in str(caught.value)


def test_decode_refuses_uncompressed_counts():
    with pytest.raises(TypeError, match="'counts' in bytes, got list"):
        rle.decode([{"size": [2, 2], "counts": [1, 3]}])


def test_decode_refuses_different_sizes():
    other = rle.encode(np.ones((1, 5, 6), np.bool_))
    with pytest.raises(ValueError, match=r"frame 1 has size \[5, 6\], but frame 0 has \[6, 6\]"):
        rle.decode([GOOD, *other])


def test_decode_refuses_no_codes():
    with pytest.raises(ValueError, match="0 masks"):
        rle.decode([])


@given(st.binary(max_size=40), st.integers(1, 40), st.integers(1, 40))
def test_any_bytes_decode_to_a_complete_mask_or_are_refused(counts, height, width):
    try:
        masks = rle.decode([{"size": [height, width], "counts": counts}])
    except ValueError:
        return
    assert masks.shape == (1, height, width)
    assert np.array_equal(masks[0], coco.decode({"size": [height, width], "counts": counts}).astype(bool))


@given(masks_thw)
def test_areas_are_those_of_the_decoded_masks(masks):
    assert rle.areas(rle.encode(masks)).tolist() == masks.sum(axis=(1, 2)).tolist()


def test_areas_name_the_damaged_frame():
    with pytest.raises(ValueError, match="mask of frame 1 is damaged"):
        rle.areas([GOOD, {"size": [6, 6], "counts": b""}])
