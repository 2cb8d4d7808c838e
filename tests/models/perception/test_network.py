from __future__ import annotations

import pytest
import torch

from models.perception.network import PerceptionNet, PerceptionNetConfig, _positions

TINY = PerceptionNetConfig(input_px=64, widths=(8, 8, 16, 16, 16), num_keypoints=5)


def tiny(config: PerceptionNetConfig = TINY) -> PerceptionNet:
    torch.manual_seed(0)
    return PerceptionNet(config).eval()


@torch.inference_mode()
def test_shapes_of_every_head() -> None:
    network = tiny()
    x2, y4 = network.features(torch.randn(3, 3, 64, 64))
    assert x2.shape == (3, 8, 32, 32)
    assert y4.shape == (3, 8, 16, 16)
    pose = network.pose(y4)
    assert pose.log_share.shape == (3, 256, 5)
    assert pose.xy.shape == (3, 5, 2)
    assert pose.presence.shape == (3, 5)
    y2 = network.dense(x2, y4)
    assert network.depth(y2).shape == network.mask(y2).shape == (3, 64, 64)


@torch.inference_mode()
@pytest.mark.parametrize(("x", "y"), [(9.5, 13.5), (10.7, 12.2), (50.0, 5.0), (33.0, 54.5)])
def test_a_keypoint_is_decoded_at_its_peak_in_input_pixels(x: float, y: float) -> None:
    centres = torch.arange(16) * 4 + 1.5  # a cell covers input pixels 4i … 4i + 3
    peak = torch.exp(-((centres[None] - x) ** 2 + (centres[:, None] - y) ** 2) / 20)
    other = 0.7 * torch.exp(-((centres[None] - 58) ** 2 + (centres[:, None] - 40) ** 2) / 20)
    share = (peak + other + 1e-9).flatten()
    position = _positions((share / share.sum()).log()[None, :, None], 16, 16)
    torch.testing.assert_close(position[0, 0], torch.tensor([x, y]), atol=0.35, rtol=0)


@torch.inference_mode()
def test_distributions_sum_to_one() -> None:
    network = tiny()
    pose = network.pose(network.features(torch.randn(2, 3, 64, 64))[1])
    torch.testing.assert_close(pose.log_share.exp().sum(1), torch.ones(2, 5))


def test_every_parameter_is_trained() -> None:
    network = tiny().train()
    x2, y4 = network.features(torch.randn(2, 3, 64, 64))
    y2 = network.dense(x2, y4)
    pose = network.pose(y4)
    total = pose.log_share[:, 0].sum() + pose.presence.sum() + network.depth(y2).mean() + network.mask(y2).mean()
    total.backward()
    assert [name for name, value in network.named_parameters() if value.grad is None] == []


@torch.inference_mode()
def test_a_frame_does_not_depend_on_the_rest_of_its_batch() -> None:
    network = tiny()
    images = torch.randn(5, 3, 64, 64)
    together = network.pose(network.features(images)[1])
    for index in range(5):
        alone = network.pose(network.features(images[index : index + 1])[1])
        torch.testing.assert_close(alone.xy[0], together.xy[index], atol=1e-3, rtol=0)
        torch.testing.assert_close(alone.presence[0], together.presence[index], atol=1e-4, rtol=1e-4)


def test_a_network_has_only_the_configured_heads() -> None:
    network = tiny(PerceptionNetConfig(input_px=32, input_channels=5, widths=(8,) * 5, num_keypoints=0, depth=False))
    names = {name.partition(".")[0] for name in network.state_dict()}
    assert {"mask_head", "up2"} <= names
    assert not names & {"pose_head", "depth_head", "presence_bias"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"input_px": 100}, "multiple of 32, got 100"),
        ({"input_px": 0}, "multiple of 32, got 0"),
        ({"widths": (8, 8, 8, 8)}, "widths must be 5"),
        ({"widths": (8, 8, 8, 8, 12)}, "multiple of 8"),
        ({"num_keypoints": 0, "depth": False, "mask": False}, "at least one"),
    ],
)
def test_invalid_configurations_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PerceptionNetConfig(**settings)


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match=r"images must be \(B, 3, 64, 64\), got \(1, 3, 32, 64\)"):
        tiny().features(torch.zeros(1, 3, 32, 64))
