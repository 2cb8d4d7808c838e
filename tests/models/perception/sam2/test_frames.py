from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from models.perception.sam2.frames import MEAN, STD, Sam2Frames


def test_frames_are_computed_on_access_and_not_kept() -> None:
    clip = np.random.default_rng(0).integers(0, 256, (5, 20, 30, 3), dtype=np.uint8)
    frames = Sam2Frames(clip, side_px=64, dtype=torch.float32)
    assert len(frames) == 5
    assert list(frames) == [0, 1, 2, 3, 4]
    assert frames[4].shape == (3, 64, 64)
    assert frames.frames_THWC is clip
    assert frames[2] is not frames[2]


def test_normalisation_is_imagenets() -> None:
    grey = Sam2Frames(np.full((1, 8, 8, 3), 128, np.uint8), side_px=16, dtype=torch.float32)[0]
    expected = (torch.tensor([128 / 255] * 3) - torch.tensor(MEAN)) / torch.tensor(STD)
    assert torch.allclose(grey, expected[:, None, None].expand(3, 16, 16), atol=1e-6)


@pytest.mark.parametrize("size", [(48, 80), (300, 170)], ids=["enlarged", "reduced"])
def test_resizing_is_antialiased_bilinear_in_uint8(size: tuple[int, int]) -> None:
    """Pillow's bilinear filter is the same antialiased one; its rounding may differ by one of 255 levels."""
    clip = np.random.default_rng(1).integers(0, 256, (1, *size, 3), dtype=np.uint8)
    ours = Sam2Frames(clip, side_px=128, dtype=torch.float32)[0]
    levels = (ours * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]) * 255
    pillow = np.asarray(Image.fromarray(clip[0]).resize((128, 128), Image.Resampling.BILINEAR))
    assert torch.allclose(levels, levels.round(), atol=1e-3)
    assert np.abs(levels.permute(1, 2, 0).numpy() - pillow).max() < 1.01
