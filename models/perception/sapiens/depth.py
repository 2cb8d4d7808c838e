"""Relative depth with Sapiens (TorchScript)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from models.common.digest import CheckpointError
from models.finite import check_finite
from models.perception.sapiens.pose import BATCH_FRAMES, INPUT_PX, MEAN, STD, normalised
from models.perception.torchscript import load_torchscript


class SapiensDepth:
    """Depth from a TorchScript file of Sapiens, `sapiens_*_render_people_epoch_*_torchscript.pt2`; float32.

    The network's output follows this project's convention, smaller is nearer. It was trained on people; depth of the
    background is unreliable.
    """

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
        self.network = load_torchscript(path, allowed=allow_torchscript, device=device)
        self.height_px, self.width_px = input_px
        self.mean = torch.tensor(MEAN, device=device)[:, None, None]
        self.std = torch.tensor(STD, device=device)[:, None, None]

    @torch.inference_mode()
    def depth(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Relative depth (T, H, W), smaller is nearer. Frames are resized to the input, ignoring their aspect ratio.

        Raises:
            CheckpointError: the network does not output one map per frame.
        """
        depth = np.empty(frames_THWC.shape[:3], np.float32)
        for start in range(0, len(frames_THWC), BATCH_FRAMES):
            batch = slice(start, start + BATCH_FRAMES)
            images = np.stack([cv2.resize(f, (self.width_px, self.height_px)) for f in frames_THWC[batch]])
            maps = self.network(normalised(images, self.mean, self.std))
            if maps.ndim != 4 or maps.shape[1] != 1:
                raise CheckpointError(
                    f"expected depth (frames, 1, height, width) from a Sapiens depth network, got {tuple(maps.shape)}"
                )
            check_finite(maps, "depth of Sapiens")
            resized = functional.interpolate(maps.float(), frames_THWC.shape[1:3], mode="bilinear", align_corners=False)
            depth[batch] = resized[:, 0].cpu().numpy()
        return depth
