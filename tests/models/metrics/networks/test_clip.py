from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from golden_networks import frames, network_case
from stand_in_features import save_image_encoder
from transformers import CLIPVisionModelWithProjection

from models.appearance.image_encoder import CLIP_DEVIATION, CLIP_MEAN
from models.metrics.networks.clip import Clip
from models.metrics.networks.frames import centre_square, shorter_side, to_tensor


@pytest.mark.parametrize("name", ["wide", "tall"])
def test_pixels_are_those_of_the_transform_of_vbench(name: str) -> None:
    case = network_case()
    clip = to_tensor(frames(case, f"frames_{name}"))
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (CLIP_MEAN, CLIP_DEVIATION))
    square = centre_square(shorter_side(clip, 28, mode="bicubic"), 28)
    torch.testing.assert_close(
        (square / 255 - mean) / deviation, case.outputs()[f"clip_{name}.pixels"], atol=1e-5, rtol=0
    )


@torch.no_grad()
@pytest.mark.parametrize("name", ["wide", "tall"])
def test_features_are_clip_embeddings_of_these_pixels(tmp_path: Path, name: str) -> None:
    save_image_encoder(tmp_path)
    case = network_case()
    theirs = CLIPVisionModelWithProjection.from_pretrained(tmp_path).eval()
    expected = theirs(pixel_values=case.outputs()[f"clip_{name}.pixels"]).image_embeds
    features = Clip(tmp_path).features(frames(case, f"frames_{name}"))
    np.testing.assert_allclose(features, expected.numpy(), atol=1e-5)
