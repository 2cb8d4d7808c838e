"""Every animation system at its smallest size, with requests and training batches of one drawn puppet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import tiny_animate_anyone
import tiny_animate_anyone_2
import tiny_animate_x
import tiny_x_dyna
import torch
from numpy.typing import NDArray
from stand_in_networks import fill_zeros
from torch import nn

from models.animation.animator import AnimationInputs, Animator
from models.animation.signals import (
    AGNOSTIC_MASK,
    CONTROLS,
    DRIVING_FRAMES,
    DRIVING_KEYPOINTS,
    FACE_CONTROL,
    OBJECT_FRAMES,
    OBJECT_MASK,
    POSE_KEYPOINTS,
    REFERENCE_KEYPOINTS,
    REFERENCE_MASK,
    REFERENCE_POSE,
    SCENE_FRAMES,
    STRUCTURED_DEPTH,
)
from models.animation.system import Model
from models.animation.task import DiffusionTask
from models.appearance.encoders import FrozenEncoders
from models.appearance.image_encoder import new_puppets_image_encoder
from models.appearance.vae import PUPPETS_VAE, Vae, standardise, to_images
from models.common.unet.config import MambaConfig
from models.puppets import render
from models.puppets.solo import sample_figure
from models.puppets.truth import truth_as_detections
from models.sampling.config import ScheduleConfig
from models.systems import find_model
from models.training.batch import SampleBatch
from models.training.recipe import SamplingConfig, SceneSamplingConfig, TrainingRecipe

SIDE_PX = 64
NUM_FRAMES = 3
MAX_FRAMES = 20
CPU = torch.device("cpu")

X = tiny_animate_x.TINY
CONFIGS: Mapping[str, Any] = {
    "animate-anyone": tiny_animate_anyone.TINY,
    "animate-anyone-2": tiny_animate_anyone_2.TINY,
    "animate-anyone-puppets": tiny_animate_anyone.TINY,
    "animate-anyone-2-puppets": replace(tiny_animate_anyone_2.TINY, object_extent="mask"),
    "animate-x": X,
    "unianimate": tiny_animate_x.UNIANIMATE_TINY,
    "animate-x-puppets": replace(
        X, reference="both", temporal=replace(X.temporal, mamba=MambaConfig(state=4, bidirectional=True))
    ),
    "x-dyna": tiny_x_dyna.TINY,
    "x-dyna-puppets": replace(tiny_x_dyna.TINY, schedule=ScheduleConfig()),
}
"""By the name of the model whose configuration is replaced."""

STAGES = [(name, stage) for name in CONFIGS for stage in find_model(name).system.stages]


def tiny_model(name: str) -> Model:
    """The registered model with its smallest configuration."""
    model = find_model(name)
    return replace(model, variant=replace(model.variant, config=CONFIGS[name]))


def new_network(model: Model) -> nn.Module:
    """In evaluation mode, with random weights, also where they are zero-initialised."""
    torch.manual_seed(0)
    network: nn.Module = model.system.implementation().new_network(model.variant.config)
    fill_zeros(network)
    return network.eval()


def new_encoders() -> FrozenEncoders:
    """Random weights; latents of the puppet's frames have mean 0 and variance 1."""
    torch.manual_seed(0)
    vae = Vae(PUPPETS_VAE).eval()
    with torch.no_grad():
        latents = vae.encode(to_images(puppet()[0][: NUM_FRAMES + 1]))
    standardise(vae, latents.mean((0, 2, 3)), latents.std((0, 2, 3)))
    return FrozenEncoders(
        vae=vae,
        image_encoder=new_puppets_image_encoder().eval(),
        text_tokens_1LD=torch.ones(1, 3, X.unet.context_width),
    )


def new_animator(model: Model, **options: Any) -> Animator:
    """The model at its smallest size, ready to animate."""
    return Animator(
        model.name,
        implementation=model.system.implementation(),
        network=new_network(model),
        encoders=new_encoders(),
        needs=model.variant.needs,
        **options,
    )


def new_recipe(model: Model, stage: int = 1, **changes: Any) -> TrainingRecipe:
    """Batches of two samples: single frames where the system has a second stage for clips, else clips."""
    num_frames = 1 if stage < len(model.system.stages) else NUM_FRAMES
    scene = SceneSamplingConfig() if model.variant.keeps_scene else None
    # The last stage trains the face, where there is one.
    has_face = model.variant.reads_face and stage == len(model.system.stages)
    sampling = SamplingConfig(
        height_px=SIDE_PX, width_px=SIDE_PX, num_frames=num_frames, scene=scene, face_control=has_face
    )
    return TrainingRecipe(**{"stage": stage, "steps": 300, "batch_size": 2, "sampling": sampling, **changes})


def new_task(
    model: Model, recipe: TrainingRecipe, *, network: nn.Module | None = None, keep_bytes: int = 0
) -> DiffusionTask:
    """`network`: None for the one that `new_network` returns."""
    return DiffusionTask(
        model.system.implementation(),
        new_network(model) if network is None else network,
        recipe,
        encoders=new_encoders(),
        stages=model.system.stages,
        device=CPU,
        keep_bytes=keep_bytes,
    )


@cache
def puppet() -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """(T, H, W, 3) frames and (T, 133, 3) keypoints of a dancing puppet."""
    frames = list(render(sample_figure(0, body="human", size_px=(SIDE_PX, SIDE_PX)), 8.0, MAX_FRAMES + 1))
    return np.stack([frame.rgb for frame in frames]), np.stack([truth_as_detections(f.keypoints) for f in frames])


def scene_signals(targets: NDArray[np.int64] | slice) -> dict[str, NDArray[Any]]:
    """Signals of the scene for frames of the puppet's clip: a box is missing, another one is an object."""
    frames = puppet()[0][targets]
    size = frames.shape[:-1]
    missing, objects = np.zeros(size, bool), np.zeros(size, bool)
    missing[..., 8:50, 16:48] = True
    objects[..., 20:40, 40:60] = True
    if len(size) == 3:
        objects[-1] = False  # not visible in the last frame
    return {
        SCENE_FRAMES: frames,
        AGNOSTIC_MASK: missing,
        OBJECT_FRAMES: np.where(objects[..., None], frames, np.uint8(0)),
        OBJECT_MASK: objects,
        STRUCTURED_DEPTH: frames[..., 0] // 2,
    }


def face_control(targets: NDArray[np.int64] | slice) -> NDArray[np.uint8]:
    """A box at the head, and a smaller one in it, for frames of the puppet's clip."""
    frames = puppet()[0][targets]
    control = np.zeros((*frames.shape[:-1], 6), np.uint8)
    control[..., 12:20, 28:36, :3] = frames[..., 12:20, 28:36, :]
    control[..., 8:24, 24:40, 3:] = frames[..., 8:24, 24:40, :]
    return control


def skeletons(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Stand-ins for skeleton drawings: negatives of the frames, without blue."""
    drawings = 255 - frames
    drawings[..., 2] = 0
    return drawings


def sample_batch(num_frames: int, samples: tuple[int, ...] = (0, 1)) -> SampleBatch:
    """Samples of the puppet's clip: frame 0 is the reference; sample n has the targets from frame n % 4 + 1 on."""
    frames, keypoints = puppet()
    targets = np.stack([np.arange(sample % 4 + 1, sample % 4 + 1 + num_frames) for sample in samples])
    rows = len(samples)
    return SampleBatch(
        samples_B=np.array(samples),
        clips_B=np.zeros(rows, np.int64),
        targets_BFHWC=frames[targets],
        poses_BFHWC=skeletons(frames)[targets],
        references_BHWC=frames[:1].repeat(rows, 0),
        reference_poses_BHWC=skeletons(frames)[:1].repeat(rows, 0),
        keypoints_BGK3=np.stack([np.concatenate([keypoints[:1], keypoints[index]]) for index in targets]),
        pose_keypoints_BFK3=keypoints[targets],
        target_frames_BF=targets,
        reference_frames_B=np.zeros(rows, np.int64),
        mirrored_B=np.zeros(rows, bool),
        signals={
            **_stacked(targets),
            REFERENCE_MASK: _reference_mask()[None].repeat(rows, 0),
            FACE_CONTROL: face_control(targets),
            CONTROLS: np.ones((rows, 2), bool),
        },
    )


def _stacked(targets_BF: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    rows = [scene_signals(targets) for targets in targets_BF]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _reference_mask() -> NDArray[np.bool_]:
    mask = np.zeros((SIDE_PX, SIDE_PX), bool)
    mask[4:60, 10:54] = True
    return mask


def request(num_frames: int = NUM_FRAMES, **changes: Any) -> AnimationInputs:
    """The puppet driven by itself, as row 0 of `sample_batch`, with all signals that the pipeline provides."""
    frames, keypoints = puppet()
    targets = slice(1, num_frames + 1)
    inputs = AnimationInputs(
        reference_HWC=frames[0],
        pose_THWC=skeletons(frames)[targets],
        seed=5,
        signals={
            REFERENCE_POSE: skeletons(frames)[0],
            REFERENCE_KEYPOINTS: keypoints[0],
            POSE_KEYPOINTS: keypoints[targets],
            DRIVING_FRAMES: frames[targets],
            DRIVING_KEYPOINTS: keypoints[targets],
            REFERENCE_MASK: _reference_mask(),
            FACE_CONTROL: face_control(targets),
            CONTROLS: np.ones(2, bool),
            **scene_signals(targets),
        },
    )
    return replace(inputs, **changes)
