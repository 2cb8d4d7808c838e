from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.perception.sapiens.crop import PADDING, Crops

COORDINATE = st.floats(0, 90)
SIDE = st.floats(4, 60)


def crops(*boxes: tuple[float, float, float, float]) -> Crops:
    return Crops.around(np.array(boxes, np.float32), width_px=48, height_px=64)


@settings(max_examples=50, deadline=None)
@given(COORDINATE, COORDINATE, SIDE, SIDE)
def test_windows_contain_the_padded_box_with_the_inputs_aspect_ratio(
    x: float, y: float, width: float, height: float
) -> None:
    window = crops((x, y, x + width, y + height))
    assert window.size[0, 0] / window.size[0, 1] == pytest.approx(48 / 64)
    assert (window.size[0] >= np.array([width, height]) * PADDING * 0.999).all()
    assert window.origin[0] + window.size[0] / 2 == pytest.approx([x + width / 2, y + height / 2], abs=1e-3)


def test_the_first_pixel_is_the_windows_start_and_the_last_its_end() -> None:
    window = crops((10, 10, 40, 50))
    corners = window.to_frame(np.array([[[0, 0], [11, 15]]], np.float32), width=12, height=16)
    assert corners[0, 0] == pytest.approx(window.origin[0])
    assert corners[0, 1] == pytest.approx(window.origin[0] + window.size[0])


@pytest.mark.parametrize("box", [(20, 20, 80, 90), (30, 30, 50, 60)], ids=["reduced", "enlarged"])
def test_crops_match_grid_sampling_in_transformers(box: tuple[float, float, float, float]) -> None:
    """The same windows through torch's `grid_sample`, as transformers' Sapiens 2 processor does it."""
    rng = np.random.default_rng(0)
    small = torch.from_numpy(rng.random((1, 3, 12, 14), np.float32) * 255)
    frame = torch.nn.functional.interpolate(small, (100, 120), mode="bicubic").clamp(0, 255).round()
    window = crops(box)
    scale = np.array([47, 63]) / window.size[0]
    rows, columns = np.mgrid[:64, :48]
    x, y = columns / scale[0] + window.origin[0, 0], rows / scale[1] + window.origin[0, 1]
    grid = torch.from_numpy(np.stack([2 * x / 119 - 1, 2 * y / 99 - 1], -1)[None].astype(np.float32))
    mode = "bilinear" if scale.min() < 1 else "bicubic"
    expected = torch.nn.functional.grid_sample(frame, grid, mode=mode, align_corners=True)[0].permute(1, 2, 0).numpy()
    ours = window.cut(frame[0].permute(1, 2, 0).numpy().astype(np.uint8)[None], cubic_when_enlarged=True)[0]
    inside = (x > 1) & (x < 118) & (y > 1) & (y < 98)
    difference = np.abs(ours - expected.clip(0, 255))[inside]
    assert difference.max() < 2
    assert difference.mean() < 0.5


def test_pixels_outside_the_frame_are_black() -> None:
    cut = crops((-60, -60, -30, -30), (0, 0, 40, 40)).cut(np.full((2, 50, 50, 3), 200, np.uint8))
    assert not cut[0].any()
    assert cut[1].any()


def test_an_empty_box_is_refused() -> None:
    with pytest.raises(ValueError, match="x0 < x1"):
        crops((10, 10, 10, 30))
