from __future__ import annotations

import torch

from models.puppet_models.draft_features import DraftFeatures


def test_features_are_zero_initialised_and_those_of_each_frame_alone() -> None:
    layer = DraftFeatures(4, 6)
    latents = torch.randn(2, 4, 3, 8, 5)
    assert not layer(latents).any()
    torch.nn.init.normal_(layer.weight)
    features = layer(latents)
    assert features.shape == (2, 6, 3, 8, 5)
    for row in range(2):
        for frame in range(3):
            alone = layer(latents[row : row + 1, :, frame : frame + 1])[0, :, 0]
            torch.testing.assert_close(features[row, :, frame], alone, atol=1e-5, rtol=1e-4)
