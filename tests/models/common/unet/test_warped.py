from __future__ import annotations

import pytest
import torch
from models.common.unet.warped import WarpedReference, check_warped


def test_it_begins_as_nothing_and_reads_each_frame_for_itself() -> None:
    layer = WarpedReference(4, 6)
    latents = torch.randn(2, 4, 3, 8, 5)
    assert not layer(latents).any()
    torch.nn.init.normal_(layer.weight)
    features = layer(latents)
    assert features.shape == (2, 6, 3, 8, 5)
    for row in range(2):
        for frame in range(3):
            alone = layer(latents[row : row + 1, :, frame : frame + 1])[0, :, 0]
            torch.testing.assert_close(features[row, :, frame], alone, atol=1e-5, rtol=1e-4)


def test_what_the_configuration_says_is_what_is_given() -> None:
    latents = torch.zeros(1, 4, 1, 2, 2)
    check_warped(True, latents)
    check_warped(False, None)
    with pytest.raises(ValueError, match="limb_warp=True, got no latents of"):
        check_warped(True, None)
    with pytest.raises(ValueError, match="limb_warp=False, got latents of"):
        check_warped(False, latents)
