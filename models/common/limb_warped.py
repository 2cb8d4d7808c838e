"""The reference of a request moved limb by limb into its poses: what a network is shown, and what the VAE loses of it.

A VAE as small as the embedded one gives no buttons, eyes or outlines back. Where an animation is what the VAE would
make of the moved reference, the moved reference is what it means: there, what the VAE loses of it is added again.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.appearance.vae import Vae, to_frames, to_images
from models.common.animator import AnimationInputs
from models.pose.limb_warp import LimbWarp

Frames = NDArray[np.uint8]

ALIKE_LEVELS = 12.0
"""Two pictures that differ by so many of 255 levels still mean the same to the share 1 / e."""
ALIKE_PX = 9
"""Side of the square over which their difference is averaged."""


class LimbWarped:
    """One for a request. `latents_TCHW`: (T, C, h, w), of the moved reference, as the VAE encodes it.

    Pictures are made a few at a time, and made again to decode, so that memory is that of the latents.
    """

    def __init__(
        self, name: str, inputs: AnimationInputs, vae: Vae, *, device: torch.device, dtype: torch.dtype, at_once: int
    ) -> None:
        """`name`: of the system that asks for it. `vae`: on `device`, in `dtype`. `at_once`: pictures that it sees.

        Raises:
            ValueError: no key points of the reference, or none of each pose.
        """
        keypoints, poses = inputs.reference_keypoints_K3, inputs.pose_keypoints_TK3
        if keypoints is None or poses is None or len(poses) != len(inputs.pose_THWC):
            raise ValueError(
                f"{name} moves the reference limb by limb: it needs reference_keypoints_K3, and pose_keypoints_TK3 of "
                f"{len(inputs.pose_THWC)} frames"
            )
        self._warp, self._poses, self._at_once = LimbWarp(inputs.reference_HWC, keypoints), poses, at_once
        self._vae = vae
        with torch.no_grad():
            latents = [vae.encode(to_images(few).to(device, dtype)) for few in self._pictures()]
        self.latents_TCHW = torch.cat(latents)

    def _pictures(self) -> Iterator[Frames]:
        for first in range(0, len(self._poses), self._at_once):
            yield self._warp(self._poses[first : first + self._at_once])

    @torch.no_grad()
    def decode(self, made_TCHW: Tensor) -> Iterator[Frames]:
        """Frames (n, H, W, 3) of an animation, a few at a time, with the detail that the VAE loses."""
        first = 0
        for few in self._pictures():
            some = slice(first, first + len(few))
            decoded, lossy = (to_frames(self._vae.decode(x[some])) for x in (made_TCHW, self.latents_TCHW))
            yield np.stack([with_detail(*frames) for frames in zip(decoded, few, lossy, strict=True)])
            first = some.stop


def with_detail(decoded_HWC: Frames, picture_HWC: Frames, lossy_HWC: Frames) -> Frames:
    """A decoded frame with what a picture has and the VAE's version of it, `lossy_HWC`, lacks, where the frame is like
    that version. All uint8 (H, W, 3).
    """
    decoded, lossy = decoded_HWC.astype(np.float32), lossy_HWC.astype(np.float32)
    apart = cv2.blur(np.abs(decoded - lossy).mean(axis=2), (ALIKE_PX, ALIKE_PX))
    alike = np.exp(-((apart / ALIKE_LEVELS) ** 2))[..., None]
    added = decoded + alike * (picture_HWC.astype(np.float32) - lossy)
    frame: Frames = added.clip(0, 255).round().astype(np.uint8)
    return frame
