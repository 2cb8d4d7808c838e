from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.perception.augment import FigureSample
from models.perception.losses import FigureBatch, depth_loss, gap_loss, keypoint_losses, mask_loss, place_loss
from models.perception.network import Pose
from models.perception.puppet_frames import CHARACTER, OUTSIDE, SCENERY
from models.pose.skeleton import LIMBS


def batch(depth_weight: float = 1.0) -> FigureBatch:
    labels = np.full((8, 8), SCENERY, np.uint8)
    labels[2:6, 2:6] = CHARACTER
    labels[:, 7] = OUTSIDE
    sample = FigureSample(
        image=np.zeros((8, 8, 3), np.uint8),
        labels=labels,
        depth=np.arange(64, dtype=np.float32).reshape(8, 8) / 64,
        keypoints=np.zeros((133, 3), np.float32),
        mask_weight=1.0,
        depth_weight=depth_weight,
    )
    return FigureBatch.of([sample, sample])


@pytest.mark.parametrize("xy", [(1.5, 1.5), (5.5, 9.5), (7.0, 3.25), (29.5, 29.5), (31.4, -0.4)])
def test_place_loss_is_least_for_a_distribution_centred_on_the_truth(xy: tuple[float, float]) -> None:
    centres = torch.arange(8) * 4 + 1.5
    truth = torch.tensor([[xy]])

    def loss(x: float, y: float) -> float:
        heat = -((centres[None, :] - x) ** 2 + (centres[:, None] - y) ** 2) / 18
        return float(place_loss(heat.flatten()[None, :, None].log_softmax(1), truth))

    x, y = (min(max(value, 1.5), 29.5) for value in xy)
    around = [(x + 2, y), (x - 2, y), (x, y + 2), (x, y - 2)]
    assert loss(x, y) < min(loss(*place) for place in around if 1.5 <= min(place) <= max(place) <= 29.5)


def test_place_loss_of_a_uniform_distribution_is_the_logarithm_of_its_size() -> None:
    even = torch.zeros(2, 64, 3).log_softmax(1)
    torch.testing.assert_close(place_loss(even, torch.rand(2, 3, 2) * 31), torch.full((2, 3), math.log(64)))


def test_keypoint_losses_count_the_places_of_present_keypoints_only() -> None:
    log_share = torch.randn(2, 64, 3).log_softmax(1)
    keypoints = torch.cat([torch.rand(2, 3, 2) * 31, torch.tensor([[[2.0], [1.0], [0.0]]]).expand(2, 3, 1)], dim=2)
    pose = Pose(log_share, torch.zeros(2, 3, 2), torch.tensor([[20.0, 20.0, -20.0]]).expand(2, 3))
    losses = keypoint_losses(pose, keypoints)
    expected = place_loss(log_share, keypoints[..., :2])[:, :2].mean() * 0.5
    torch.testing.assert_close(losses["keypoints"], expected)
    assert float(losses["presence"]) < 1e-6
    absent = keypoints * torch.tensor([1.0, 1.0, 0.0])
    assert float(keypoint_losses(pose, absent)["keypoints"]) == 0
    assert float(keypoint_losses(pose, absent)["presence"]) > 10


def test_mask_loss_ranks_correct_wrong_and_empty_masks() -> None:
    truth = batch().character
    ones = torch.ones(2)
    right, wrong = mask_loss((truth - 0.5) * 40, truth, ones), mask_loss((0.5 - truth) * 40, truth, ones)
    assert float(right) < 1e-3
    assert float(wrong) > 1
    empty = torch.zeros_like(truth)
    assert float(mask_loss(empty - 20, empty, ones)) < 1e-3
    assert float(mask_loss((0.5 - truth) * 40, truth, torch.zeros(2))) == 0


def test_depth_loss_includes_the_relief_and_ignores_the_padding() -> None:
    truth = batch()
    assert float(depth_loss(truth.depth.clone(), truth)) == 0
    bars = truth.depth + 100 * (1 - truth.inside)
    assert float(depth_loss(bars, truth)) == 0
    shifted = truth.depth + 0.1 * truth.character  # the character as a whole too far
    bent = truth.depth * (1 - truth.character)  # the character flat, at the wrong place
    assert float(depth_loss(shifted, truth)) == pytest.approx(0.1, abs=1e-5)
    assert float(depth_loss(bent, truth)) > float(depth_loss(shifted, truth))
    assert float(depth_loss(truth.depth + 1, batch(depth_weight=0.0))) == 0


def test_gap_loss_depends_only_on_depth_differences_of_visible_limbs() -> None:
    keypoints = np.zeros((133, 3), np.float32)
    for name, column in (("left_forearm", 10), ("right_forearm", 20), ("left_thigh", 25)):
        first, second = LIMBS[name]
        keypoints[first], keypoints[second] = (column, 4, 2), (column, 28, 2)
    depth = np.full((32, 32), 4.0, np.float32)
    depth[:, 8:13], depth[:, 18:23], depth[:, 24:27] = 3.8, 4.2, 4.21
    sample = FigureSample(
        image=np.zeros((32, 32, 3), np.uint8),
        labels=np.full((32, 32), CHARACTER, np.uint8),
        depth=depth,
        keypoints=keypoints,
        mask_weight=1.0,
        depth_weight=1.0,
    )
    truth = FigureBatch.of([sample])
    right, wrong, flat = truth.depth, 8 - truth.depth, torch.full_like(truth.depth, 4.0)
    assert float(gap_loss(right, truth)) == 0
    assert float(gap_loss(right + 1.0, truth)) == pytest.approx(0, abs=1e-4)  # the character as a whole too far
    # Gaps of 0.4 (counted as 0.3), 0.41 (as 0.3) and 0.01, each twice, and three limbs with themselves.
    flat_gaps = 2 * (0.3 + 0.3 + 0.01) / 9 / 0.04
    assert float(gap_loss(flat, truth)) == pytest.approx(flat_gaps, rel=1e-4)
    assert float(gap_loss(wrong, truth)) == pytest.approx(2 * flat_gaps, rel=1e-4)
    hidden = keypoints.copy()
    hidden[:, 2] = 1
    nothing = FigureBatch.of([replace(sample, keypoints=hidden)])
    assert float(gap_loss(wrong, nothing)) == 0
