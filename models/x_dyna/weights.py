"""Published checkpoints of X-Dyna."""

from __future__ import annotations

from pathlib import Path

import torch

from models.common.checkpoint import fill, read_tensors
from models.common.unet.motion_keys import renamed_motion_keys
from models.x_dyna.config import FACE_FILE, POSE_FILE, UNET_FILE, XDynaConfig
from models.x_dyna.network import XDyna


def load_published(folder: Path, config: XDynaConfig) -> XDyna:
    """Load the networks strictly from the three files, in the folders of the publisher's repository.

    Raises:
        CheckpointError: a file is absent or damaged; a tensor is missing, unexpected or misshapen; a table of
            positions differs from the sinusoids that the networks compute.
    """
    with torch.device("meta"):
        network = XDyna(config)
    unet = folder / UNET_FILE
    fill(network.denoiser, renamed_motion_keys(read_tensors(unet), unet), unet)
    fill(network.pose_control, read_tensors(folder / POSE_FILE), folder / POSE_FILE)
    if network.face_control is not None:
        fill(network.face_control, read_tensors(folder / FACE_FILE), folder / FACE_FILE)
    return network.eval()
