"""Whole-body keypoints with Sapiens (TorchScript) and Sapiens 2 (transformers)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.common.digest import CheckpointError
from models.common.pretrained import load_pretrained
from models.finite import check_finite
from models.perception.sapiens.crop import Crops
from models.perception.sapiens.heatmaps import decode
from models.perception.sapiens.layout import NUM_PUBLISHED, disagreeing_pairs, to_wholebody
from models.perception.torchscript import load_torchscript
from models.pose.skeleton import NUM_KEYPOINTS

INPUT_PX = (1024, 768)
"""Height and width of the published networks' input."""
MEAN, STD = (123.5, 116.5, 103.5), (58.5, 57.0, 57.5)
"""Normalisation of Sapiens' input, RGB 0–255."""
IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Normalisation of Sapiens 2's input, RGB 0–255."""
BATCH_FRAMES = 8


def whole_frames(frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Boxes (T, 4) of the whole frames, as in the published code without a person detector."""
    height, width = frames_THWC.shape[1:3]
    return np.tile(np.array([0, 0, width, height], np.float32), (len(frames_THWC), 1))


def normalised(images_BHWC: NDArray[np.uint8], mean: Tensor, std: Tensor) -> Tensor:
    """Normalised images (B, 3, H, W) float32 on the device of `mean` and `std` (3, 1, 1), transferred as uint8."""
    images = torch.from_numpy(images_BHWC).to(mean.device).permute(0, 3, 1, 2)
    return images.float().sub_(mean).div_(std)


class HeatmapPose(ABC):
    """Top-down heatmap network: crop, predict, decode, convert the layout."""

    cubic_when_enlarged = False

    def __init__(
        self,
        *,
        input_px: tuple[int, int],
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        device: torch.device | str,
    ) -> None:
        self.height_px, self.width_px = input_px
        self.mean = torch.tensor(mean, device=device)[:, None, None]
        self.std = torch.tensor(std, device=device)[:, None, None]

    @abstractmethod
    def heatmaps(self, images_B3HW: Tensor) -> Tensor:
        """Heatmaps (B, K, h, w) of normalised crops."""

    @torch.inference_mode()
    def keypoints(
        self, frames_THWC: NDArray[np.uint8], boxes_T4: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Keypoints (T, 133, 3): x, y in pixels of the frames, score 0–1 (the heatmap's maximum).

        `boxes_T4`: x0, y0, x1, y1 of the person in each frame, in pixels, with exclusive ends; a NaN row means no
        person, with keypoints 0. None uses whole frames.

        Raises:
            CheckpointError: the network's number of keypoints is not 17, 133 or 308.
        """
        boxes = whole_frames(frames_THWC) if boxes_T4 is None else boxes_T4
        keypoints = np.zeros((len(frames_THWC), NUM_KEYPOINTS, 3), np.float32)
        frames_with_person = np.flatnonzero(np.isfinite(boxes).all(axis=1))
        for start in range(0, len(frames_with_person), BATCH_FRAMES):
            batch = frames_with_person[start : start + BATCH_FRAMES]
            crops = Crops.around(boxes[batch], width_px=self.width_px, height_px=self.height_px)
            images = crops.cut(frames_THWC[batch], cubic_when_enlarged=self.cubic_when_enlarged)
            heatmaps = self.heatmaps(normalised(images, self.mean, self.std))
            if heatmaps.ndim != 4 or heatmaps.shape[1] not in NUM_PUBLISHED:
                raise CheckpointError(
                    f"expected heatmaps (frames, keypoints, height, width) of one of {NUM_PUBLISHED} keypoints from "
                    f"a Sapiens pose network, got {tuple(heatmaps.shape)}"
                )
            xy, score = decode(heatmaps)
            # The maximum of a map is NaN or infinite if one of its values is.
            check_finite(score, "heatmaps of the Sapiens pose network")
            height, width = heatmaps.shape[2:]
            points = crops.to_frame(xy.cpu().numpy(), width=width, height=height)
            scores = score.clamp(0, 1).cpu().numpy()[..., None]
            keypoints[batch] = to_wholebody(np.concatenate([points, scores], axis=2).astype(np.float32))
        return keypoints


class SapiensPose(HeatmapPose):
    """Pose from a TorchScript file of Sapiens, `sapiens_*_{coco,coco_wholebody,goliath}_*_torchscript.pt2`; float32."""

    def __init__(
        self,
        path: Path,
        *,
        allow_torchscript: bool,
        device: torch.device | str = "cpu",
        input_px: tuple[int, int] = INPUT_PX,
    ) -> None:
        """Open the file.

        Raises:
            CheckpointError: TorchScript is not allowed, or the file is absent or damaged.
        """
        super().__init__(input_px=input_px, mean=MEAN, std=STD, device=device)
        self.network = load_torchscript(path, allowed=allow_torchscript, device=device)

    def heatmaps(self, images_B3HW: Tensor) -> Tensor:
        """Heatmaps (B, K, H / 4, W / 4)."""
        heatmaps: Tensor = self.network(images_B3HW)
        return heatmaps


class Sapiens2Pose(HeatmapPose):
    """Pose from transformers' `Sapiens2ForPoseEstimation`, 308 keypoints; bfloat16 on a CUDA device, else float32."""

    cubic_when_enlarged = True

    def __init__(self, folder: Path, *, device: torch.device | str = "cpu") -> None:
        """Load a published folder (facebook/sapiens2-pose-…).

        Raises:
            CheckpointError: the folder is not that of a Sapiens 2 pose network, is incomplete, or has another keypoint
                order than the 308 of Sapiens.
        """
        from transformers import Sapiens2ForPoseEstimation

        network = load_pretrained(Sapiens2ForPoseEstimation, folder)
        pairs = network.config.flip_pairs
        if pairs and (wrong := disagreeing_pairs(pairs)):
            raise CheckpointError(
                f"{folder} orders its keypoints otherwise than Sapiens' 308: it does not mirror {wrong[0][0]} to "
                f"{wrong[0][1]}"
            )
        size = network.config.image_size
        height, width = (size, size) if isinstance(size, int) else size
        super().__init__(input_px=(height, width), mean=IMAGENET_MEAN, std=IMAGENET_STD, device=device)
        self.dtype = torch.bfloat16 if torch.device(device).type == "cuda" else torch.float32
        self.network = network.to(device, self.dtype)

    def heatmaps(self, images_B3HW: Tensor) -> Tensor:
        """Heatmaps (B, 308, H / 4, W / 4)."""
        heatmaps: Tensor = self.network(pixel_values=images_B3HW.to(self.dtype)).heatmaps
        return heatmaps
