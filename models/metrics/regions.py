"""Parts of frames for measures of character and scenery."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MID_GREY = 127


def fill_outside(frames_THWC: NDArray[np.uint8], mask_THW: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Frames with mid-grey pixels wherever the mask is false.

    Raises:
        ValueError: frames and mask differ in size.
    """
    if frames_THWC.shape[:3] != mask_THW.shape:
        raise ValueError(f"a mask {mask_THW.shape} does not fit frames {frames_THWC.shape}")
    return np.where(mask_THW[..., None], frames_THWC, np.uint8(MID_GREY))
