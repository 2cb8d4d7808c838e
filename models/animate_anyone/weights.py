"""Published checkpoints of Animate Anyone, in the formats of Moore-AnimateAnyone and MusePose."""

from __future__ import annotations

from pathlib import Path

import torch

from models.animate_anyone.config import AnimateAnyoneConfig
from models.animate_anyone.network import AnimateAnyone
from models.common.checkpoint import fill, read_tensors
from models.common.digest import CheckpointError
from models.common.unet.motion_keys import renamed_motion_keys

PUBLISHED_FILES = ("denoising_unet.pth", "motion_module.pth", "reference_unet.pth", "pose_guider.pth")


def load_published(folder: Path, config: AnimateAnyoneConfig) -> AnimateAnyone:
    """Load the networks strictly from the four files of Moore-AnimateAnyone or MusePose.

    As in the public code, temporal layers in `denoising_unet.pth` take precedence over those of `motion_module.pth`,
    which may then be absent.

    Raises:
        CheckpointError: a file is absent or damaged; a tensor is missing, unexpected or misshapen; no file
            has temporal layers; a table of positions differs from the sinusoids that the networks compute.
    """
    paths = {name: folder / name for name in PUBLISHED_FILES}
    denoiser = renamed_motion_keys(read_tensors(paths["denoising_unet.pth"]), paths["denoising_unet.pth"])
    if paths["motion_module.pth"].exists():
        motion = renamed_motion_keys(read_tensors(paths["motion_module.pth"]), paths["motion_module.pth"])
        denoiser = motion | denoiser
    if not any(".motion_modules." in key for key in denoiser):
        raise CheckpointError(
            f"no temporal layers: {paths['motion_module.pth']} is absent and {paths['denoising_unet.pth']} holds none. "
            "Frames would be generated independently and the video would flicker; put motion_module.pth there"
        )
    with torch.device("meta"):
        network = AnimateAnyone(config)
    fill(network.denoiser, denoiser, paths["denoising_unet.pth"])
    fill(network.reference_net, read_tensors(paths["reference_unet.pth"]), paths["reference_unet.pth"])
    fill(network.pose_guider, read_tensors(paths["pose_guider.pth"]), paths["pose_guider.pth"])
    return network.eval()
