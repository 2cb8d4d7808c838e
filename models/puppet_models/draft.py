"""The draft of an animation: the reference moved limb by limb into each pose (`models.puppet_models.limb_warp`).

Small networks read its latents. A VAE as small as the one for puppets loses buttons, eyes and outlines; where a decoded
frame agrees with the decoded draft, what the VAE loses of the draft is added back.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.animation.clip import ClipBatch, ClipEncoder
from models.animation.signals import POSE_KEYPOINTS, REFERENCE_KEYPOINTS
from models.appearance.vae import Vae, to_frames
from models.pose.pose_augment import realigned
from models.puppet_models.limb_warp import LimbWarp

Frames = NDArray[np.uint8]

ALIKE_LEVELS = 12.0
"""Mean difference, in levels of 255, at which two pictures agree to the share 1 / e."""
ALIKE_PX = 9
"""Side of the square over which their difference is averaged."""


class Draft:
    """Draft pictures of a batch of clips, made a few at a time and made again to decode: memory is that of the latents.

    Args:
        keep_lengths: give the limbs the lengths that they have in the reference, whatever those of the skeleton
            (Animate-X, whose skeletons need not fit).
        batch: pictures made at once.

    Raises:
        ValueError: no reference picture or no keypoints.
    """

    def __init__(self, clip: ClipBatch, *, keep_lengths: bool, batch: int) -> None:
        self._batch = batch
        self._references = clip.pictures_BHWC
        self._keypoints = clip.signal(REFERENCE_KEYPOINTS)
        self._poses = clip.signal(POSE_KEYPOINTS)
        if keep_lengths:
            rows = zip(self._poses, self._keypoints, strict=True)
            self._poses = np.stack([realigned(poses, reference) for poses, reference in rows])

    def latents(self, encoder: ClipEncoder) -> Tensor:
        """(B, C, F, h, w) VAE latents of all draft pictures."""
        rows = [
            torch.cat([encoder.latents(chunk) for chunk in self.pictures(row)]) for row in range(len(self._references))
        ]
        return torch.stack(rows).transpose(1, 2)

    def pictures(self, row: int) -> Iterator[Frames]:
        """Pictures (n, H, W, 3) of a clip, in order."""
        warp = LimbWarp(self._references[row], self._keypoints[row])
        for first in range(0, len(self._poses[row]), self._batch):
            yield warp(self._poses[row, first : first + self._batch])

    @torch.no_grad()
    def decode(self, vae: Vae, latents_TCHW: Tensor, draft_latents_TCHW: Tensor) -> Iterator[Frames]:
        """Frames (n, H, W, 3) of the first clip's animation, with the detail that the VAE loses.

        `latents_TCHW`: of the animation, T frames or fewer. `draft_latents_TCHW`: of the draft.
        """
        first = 0
        for chunk in self.pictures(0):
            part = slice(first, min(first + len(chunk), len(latents_TCHW)))
            if part.start >= part.stop:
                return
            decoded, lossy = (to_frames(vae.decode(x[part])) for x in (latents_TCHW, draft_latents_TCHW))
            pictures = chunk[: part.stop - part.start]
            yield np.stack([with_detail(*frames) for frames in zip(decoded, pictures, lossy, strict=True)])
            first = part.stop


def with_detail(decoded_HWC: Frames, picture_HWC: Frames, lossy_HWC: Frames) -> Frames:
    """A decoded frame with the detail of a picture that the VAE loses, added where the frame agrees with the VAE's
    version of the picture, `lossy_HWC`. All uint8 (H, W, 3).
    """
    decoded, lossy = decoded_HWC.astype(np.float32), lossy_HWC.astype(np.float32)
    difference = cv2.blur(np.abs(decoded - lossy).mean(axis=2), (ALIKE_PX, ALIKE_PX))
    agreement = np.exp(-((difference / ALIKE_LEVELS) ** 2))[..., None]
    added = decoded + agreement * (picture_HWC.astype(np.float32) - lossy)
    frame: Frames = added.clip(0, 255).round().astype(np.uint8)
    return frame
