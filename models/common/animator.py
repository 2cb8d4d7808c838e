"""What every animation system is to whoever runs it: pictures in, a video out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

OnStep = Callable[[int, int], None]
"""Called after each denoising step with the steps done and the steps in all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AnimationInputs:
    """One request, as pixels of the output size.

    `reference_HWC`: uint8 (H, W, 3) RGB, the character.
    `pose_THWC`: uint8 (T, H, W, 3), skeleton drawings in the model's preset, one per frame to make.
    `seed`: of the noise, which is drawn on the CPU, so that no device, batch or worker changes it.
    `num_steps`, `guidance_scale`: None is the model's default.
    `reference_pose_HWC`: the reference's own skeleton, for systems that look at it.
    `pose_keypoints_TK3`: float (T, 133, 3), the key points that `pose_THWC` draws, with scores; and
    `reference_keypoints_K3`: float (133, 3), the reference's key points in its pixels, with scores; and
    `driving_THWC`, `driving_keypoints_TK3`: uint8 frames of the driving video, of any size, and float (T, 133, 3) key
      points in their pixels, not fitted to the reference: for systems that look at the motion itself.
    """

    reference_HWC: NDArray[np.uint8]  # noqa: N815
    pose_THWC: NDArray[np.uint8]  # noqa: N815
    seed: int
    num_steps: int | None = None
    guidance_scale: float | None = None
    reference_pose_HWC: NDArray[np.uint8] | None = None  # noqa: N815
    reference_keypoints_K3: NDArray[np.float32] | None = None  # noqa: N815
    pose_keypoints_TK3: NDArray[np.float32] | None = None  # noqa: N815
    driving_THWC: NDArray[np.uint8] | None = None  # noqa: N815
    driving_keypoints_TK3: NDArray[np.float32] | None = None  # noqa: N815


@dataclass(frozen=True, kw_only=True, slots=True)
class Animation:
    """What came of a request.

    `frames_THWC`: uint8 (T, H, W, 3) RGB.
    `fallbacks`: what was done for want of memory, in order: `window_batch=2`, `vae_tiled`, `offloaded`.
    """

    frames_THWC: NDArray[np.uint8]  # noqa: N815
    fallbacks: tuple[str, ...] = ()


class Animator(Protocol):
    """A loaded animation system.

    `size_multiple`: both sides of the output are multiples of it. `pose_preset`: a key of
    `models.pose.pose_map.PRESETS`, the drawing it was trained on.
    """

    name: str
    size_multiple: int
    pose_preset: str

    def animate(self, inputs: AnimationInputs, *, on_step: OnStep | None = None) -> Animation:
        """The animation. The same inputs give the same bits on the same device."""
        ...


def check_pictures(inputs: AnimationInputs, *, size_multiple: int) -> None:
    """Check that the reference and the drawings go together.

    Raises:
        ValueError: a side that is no multiple of `size_multiple`, pictures of different sizes, or no frame.
    """
    height, width, _ = inputs.reference_HWC.shape
    if height % size_multiple or width % size_multiple:
        raise ValueError(f"sides must be multiples of {size_multiple}, got {width} x {height}")
    if len(inputs.pose_THWC) == 0 or inputs.pose_THWC.shape[1:] != inputs.reference_HWC.shape:
        raise ValueError(
            f"skeleton drawings must be (T, {height}, {width}, 3) with T >= 1, got {inputs.pose_THWC.shape}"
        )
