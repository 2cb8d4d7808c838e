"""Animations of clips during a training run, sample videos of them, and pictures of its augmented skeletons."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jobs.training.model import ModelConfig
from models.animation.animator import AnimationInputs
from models.animation.system import LoadOptions
from models.animation.task import sample_clip
from models.appearance.encoders import FrozenEncoders
from models.pose.pose_map import PRESETS, draw_poses
from models.training.batch import SampleBatch
from models.video.encode import write_h264
from models.video.side_by_side import side_by_side
from stages.io.storage import Storage

FPS = 12.0
PANEL_PX = 256
CHANGED_SKELETONS = "samples/changed-skeletons.png"


class ClipAnimator:
    """Animates clips with the weights that a checkpoint of the run would have."""

    def __init__(self, model: ModelConfig, encoders: FrozenEncoders, device: torch.device) -> None:
        # A network of its own: the trained one may be sharded over workers.
        self._network = model.model.new_network()
        self._animator = model.model.animator(self._network, encoders, LoadOptions(device=str(device), dtype="float32"))

    def load(self, weights: dict[str, Tensor]) -> None:
        """Load the weights of the network for inference."""
        self._network.load_state_dict(weights)

    def animate(self, clip: SampleBatch, *, seed: int) -> NDArray[np.uint8]:
        """Frames (T, H, W, 3) of the clip's reference, animated by the clip's own skeletons.

        `clip`: a sample with batch size 1 and pictures (`SampleMaker.beginning`).
        """
        assert clip.references_BHWC is not None
        animation = self._animator.animate(
            AnimationInputs(
                reference_HWC=clip.references_BHWC[0],
                pose_THWC=clip.poses_BFHWC[0],
                seed=seed,
                signals={name: array[0] for name, array in sample_clip(clip).signals.items()},
            )
        )
        return animation.frames_THWC


class SampleVideos:
    """Sample videos: the first frame of each clip, animated by the clip's own skeletons.

    Args:
        clips: samples with batch size 1 and pictures (`SampleMaker.beginning`).
    """

    def __init__(self, clips: list[SampleBatch]) -> None:
        self._clips = clips

    def write(self, animator: ClipAnimator, storage: Storage, *, step: int) -> list[str]:
        """Publish one video per clip with four panels (reference, skeletons, result, truth); returns their names."""
        names = []
        for index, clip in enumerate(self._clips):
            assert clip.references_BHWC is not None
            assert clip.targets_BFHWC is not None
            reference, poses, truth = clip.references_BHWC[0], clip.poses_BFHWC[0], clip.targets_BFHWC[0]
            panels = [np.broadcast_to(reference, truth.shape), poses, animator.animate(clip, seed=index), truth]
            name = f"samples/step-{step:08d}-{index}.mp4"
            with storage.staged(name) as path:
                write_h264(path, side_by_side(panels, height_px=PANEL_PX), fps=FPS)
            names.append(name)
        return names


def write_changed_skeletons(batch: SampleBatch, storage: Storage, *, preset: str) -> str:
    """Publish a picture of augmented skeletons (Animate-X's explicit pose indicator); returns its name.

    It has one column per sample: a target frame, its skeleton, and the augmented skeleton.
    """
    assert batch.targets_BFHWC is not None
    targets, augmented = batch.targets_BFHWC[:, 0], batch.poses_BFHWC[:, 0]
    height_px, width_px = targets.shape[1:3]
    plain = draw_poses(batch.keypoints_BGK3[:, 1], height_px=height_px, width_px=width_px, preset=PRESETS[preset])
    picture: NDArray[np.uint8] = np.concatenate([np.concatenate(list(row), 1) for row in (targets, plain, augmented)])
    encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
    storage.publish(CHANGED_SKELETONS, encoded.tobytes())
    return CHANGED_SKELETONS
