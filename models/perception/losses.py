"""Training losses of the embedded networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.common.precision import fast_bfloat16
from models.perception.augment import FaceSample, FigureSample, ObjectSample
from models.perception.embedded import to_input
from models.perception.network import PerceptionNet, Pose
from models.perception.puppet_frames import CHARACTER, OUTSIDE
from models.pose.skeleton import LIMBS

# B batch, K keypoints, S side of the square in pixels, L cells of the stride-4 map

GAP_UNIT = 0.04
"""Unit of depth differences in body heights, about the thickness of an arm."""
LARGEST_GAP = 0.3
NUM_LIMB_POINTS = 8
_LIMB_ENDS = [list(ends) for name, ends in LIMBS.items() if name not in ("shoulders", "hips")]

RELIEF_UNIT = 0.1
"""Deviation from the character's mean depth, in body heights, at which a pixel has twice the weight."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FigureBatch:
    """Batch of figure samples as tensors."""

    images: Tensor
    character: Tensor  # (B, S, S) float, 1 on the character
    inside: Tensor  # (B, S, S) float, 1 inside the frame
    depth: Tensor  # (B, S, S)
    keypoints: Tensor  # (B, K, 3)
    mask_weight: Tensor  # (B)
    depth_weight: Tensor  # (B)

    @classmethod
    def of(cls, samples: Sequence[FigureSample]) -> FigureBatch:
        """Collate samples."""
        labels = torch.from_numpy(np.stack([sample.labels for sample in samples]))
        return cls(
            images=to_input(np.stack([sample.image for sample in samples])),
            character=(labels == CHARACTER).float(),
            inside=(labels != OUTSIDE).float(),
            depth=torch.from_numpy(np.stack([sample.depth for sample in samples])),
            keypoints=torch.from_numpy(np.stack([sample.keypoints for sample in samples])),
            mask_weight=torch.tensor([sample.mask_weight for sample in samples]),
            depth_weight=torch.tensor([sample.depth_weight for sample in samples]),
        )


def figure_losses(network: PerceptionNet, batch: FigureBatch) -> dict[str, Tensor]:
    """Weighted scalar losses by name; their sum is the training loss."""
    with torch.autocast("cpu", torch.bfloat16, enabled=fast_bfloat16(batch.images.device)):
        x2, y4 = network.features(batch.images)
        pose = network.pose(y4)
        y2 = network.dense(x2, y4)
        depth, mask = network.depth(y2), network.mask(y2)
    return {
        **keypoint_losses(pose, batch.keypoints),
        "mask": mask_loss(mask, batch.character, batch.mask_weight),
        "depth": depth_loss(depth, batch) * 2.0,
        "gaps": gap_loss(depth, batch) * 2.0,
    }


def face_losses(network: PerceptionNet, samples: Sequence[FaceSample]) -> dict[str, Tensor]:
    """Scalar losses of the face network by name."""
    images = to_input(np.stack([sample.image for sample in samples]))
    with torch.autocast("cpu", torch.bfloat16, enabled=fast_bfloat16(images.device)):
        pose = network.pose(network.features(images)[1])
    return keypoint_losses(pose, torch.from_numpy(np.stack([sample.landmarks for sample in samples])))


def keypoint_losses(pose: Pose, keypoints_BK3: Tensor) -> dict[str, Tensor]:
    """Scalar losses of places, of the present keypoints, and of presence, by name."""
    present = (keypoints_BK3[..., 2] > 0).float()
    place = place_loss(pose.log_share, keypoints_BK3[..., :2]) * present
    presence = functional.binary_cross_entropy_with_logits(pose.presence, present)
    return {"keypoints": place.sum() / present.sum().clamp(min=1) * 0.5, "presence": presence * 2.0}


def place_loss(log_share_BLK: Tensor, xy_BK2: Tensor) -> Tensor:
    """Cross-entropy (B, K) of each keypoint's distribution with its true position, spread over the 4 nearest cells.

    The weights are those of bilinear interpolation, so the expectation of the target is the true position.
    """
    side = round(log_share_BLK.shape[1] ** 0.5)
    cell_BK2 = ((xy_BK2 - 1.5) / 4).clamp(0, side - 1)
    low_BK2 = cell_BK2.floor().clamp(max=side - 2)
    x, y = (cell_BK2 - low_BK2).unbind(-1)
    first_BK = (low_BK2[..., 1] * side + low_BK2[..., 0]).long()
    loss = torch.zeros_like(x)
    for dy, share_y in ((0, 1 - y), (1, y)):
        for dx, share_x in ((0, 1 - x), (1, x)):
            index_B1K = (first_BK + dy * side + dx)[:, None]
            loss = loss - share_y * share_x * log_share_BLK.gather(1, index_B1K)[:, 0]
    return loss


def mask_loss(logits_BSS: Tensor, truth_BSS: Tensor, weight_B: Tensor) -> Tensor:
    """Binary cross-entropy, plus soft Dice (Milletari et al. 2016, arXiv:1606.04797) for non-empty masks."""
    entropy_B = functional.binary_cross_entropy_with_logits(logits_BSS, truth_BSS, reduction="none").mean((1, 2))
    probability_BSS = logits_BSS.sigmoid()
    area_B = truth_BSS.sum((1, 2))
    overlap_B = (probability_BSS * truth_BSS).sum((1, 2))
    dice_B = 1 - 2 * overlap_B / (probability_BSS.sum((1, 2)) + area_B).clamp(min=1)
    dice_weight_B = (area_B > 0).float() * weight_B
    return (entropy_B * weight_B).mean() * 4 + (dice_B * dice_weight_B).sum() / dice_weight_B.sum().clamp(min=1)


def depth_loss(depth_BSS: Tensor, batch: FigureBatch) -> Tensor:
    """Weighted sum of depth errors: the character's mean, the character's relief, and the scenery.

    The relief, depth minus the character's mean, determines the order of limbs. It has the largest weight, and pixels
    of large relief more, because thin limbs in front of a broad body contribute few pixels.
    """
    inside = batch.inside * batch.depth_weight[:, None, None]
    body = batch.character * inside
    scenery = inside - body
    area_B = body.sum((1, 2)).clamp(min=1)
    error = depth_BSS - batch.depth
    mean_B = (error * body).sum((1, 2)) / area_B
    true_mean_B = (batch.depth * body).sum((1, 2)) / area_B
    emphasis = body * (1 + ((batch.depth - true_mean_B[:, None, None]).abs() / RELIEF_UNIT).clamp(max=4))
    relief_B = ((error - mean_B[:, None, None]).abs() * emphasis).sum((1, 2)) / emphasis.sum((1, 2)).clamp(min=1)
    shown = (body.sum((1, 2)) > 0).float()
    far = (error.abs() * scenery).sum() / scenery.sum().clamp(min=1)
    return ((relief_B * 4 + mean_B.abs()) * shown).sum() / shown.sum().clamp(min=1) + 0.3 * far


def gap_loss(depth_BSS: Tensor, batch: FigureBatch) -> Tensor:
    """Mean absolute error of the depth differences between all pairs of visible limbs, in units of `GAP_UNIT`.

    The optimum is the median, whose sign is the best estimate of the order. A ranking loss (Chen et al. 2016,
    arXiv:1604.03901) overestimates differences with a usual sign, and then fails for poses in which the order is
    reversed. Differences are clipped to `LARGEST_GAP`.
    """
    ends = batch.keypoints[:, _LIMB_ENDS]  # (B, limbs, 2, 3)
    along = torch.linspace(0.05, 0.95, NUM_LIMB_POINTS)[:, None]
    points = ends[:, :, :1, :2] * (1 - along) + ends[:, :, 1:, :2] * along  # (B, limbs, points, 2)
    side = depth_BSS.shape[-1]
    columns, rows = points.round().long().clamp(0, side - 1).unbind(-1)
    index = (rows * side + columns).flatten(1)

    def sampled(maps_BSS: Tensor) -> Tensor:
        return maps_BSS.flatten(1).gather(1, index).view_as(rows)

    on_body = sampled(batch.character * batch.inside)
    num_points = on_body.sum(-1)
    usable = (num_points >= NUM_LIMB_POINTS // 2) & (ends[..., 2] > 1).all(-1) & (batch.depth_weight > 0)[:, None]
    predicted, true = ((sampled(maps) * on_body).sum(-1) / num_points.clamp(min=1) for maps in (depth_BSS, batch.depth))
    gap_predicted, gap_true = (
        (values[:, :, None] - values[:, None]).clamp(-LARGEST_GAP, LARGEST_GAP) for values in (predicted, true)
    )
    counted = (usable[:, :, None] & usable[:, None]).float()
    return ((gap_predicted - gap_true).abs() * counted).sum() / counted.sum().clamp(min=1) / GAP_UNIT


def object_losses(network: PerceptionNet, samples: Sequence[ObjectSample]) -> dict[str, Tensor]:
    """Scalar losses of the object network by name."""
    labels = torch.from_numpy(np.stack([sample.labels for sample in samples]))
    prompts = torch.from_numpy(np.stack([sample.prompts for sample in samples])).permute(0, 3, 1, 2)
    images = torch.cat([to_input(np.stack([sample.image for sample in samples])), prompts], 1)
    with torch.autocast("cpu", torch.bfloat16, enabled=fast_bfloat16(images.device)):
        x2, y4 = network.features(images.contiguous(memory_format=torch.channels_last))
        mask = network.mask(network.dense(x2, y4))
    return {"mask": mask_loss(mask, (labels == 1).float(), torch.ones(len(samples)))}
