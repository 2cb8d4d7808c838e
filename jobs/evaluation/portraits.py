"""Held-out portraits: a talking puppet drives another one before moving scenery, as in `zoetrope animate`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from models.animation.animator import AnimationInputs, Animator
from models.animation.system import LoadOptions, Model
from models.puppets import PortraitPair, PuppetFrame, render, sample_portrait_pair
from models.puppets.truth import truth_as_detections
from models.systems import find_model
from pipelines.model_specs import model_spec
from stages.animate.face_crops import FaceCropsConfig, FaceCropsStage
from stages.animate.keypoints import DrivingPoseStage
from stages.animate.signals import SignalsConfig, SignalsStage
from stages.animate.skeleton import SkeletonConfig, SkeletonStage
from stages.backends.base import EMBEDDED
from stages.base import Row, Stage
from stages.outcome import BadRow
from stages.prepare.pose import PoseConfig, PoseStage

logger = logging.getLogger(__name__)

Frames = NDArray[np.uint8]

PortraitSetting = Literal["portrait-exact", "portrait-detected"]
PORTRAIT_SETTINGS: tuple[PortraitSetting, ...] = get_args(PortraitSetting)

COMPARED = "animate-anyone-puppets"
"""The model that animates the same requests for comparison."""

_REQUEST = dict.fromkeys(("clip", "clip_id", "retarget", "controls"))
"""Columns of a request that leaves everything to the defaults."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PortraitHeldoutConfig:
    """Pairs of held-out portraits (`models.puppets.portrait.sample_portrait_pair`).

    Args:
        setting: origin of keypoints, of which the 68 face landmarks place the face patches:
            "portrait-exact": the ground truth of the driving video and of the reference.
            "portrait-detected": the embedded network, as in `zoetrope animate --preset puppets`.
        num_pairs, first_seed: number of pairs and seed of the first.
        size_px, duration_seconds, fps: shape of the clips; `size_px` is (height, width).
    """

    setting: PortraitSetting = "portrait-exact"
    num_pairs: int = 40
    first_seed: int = 0
    size_px: tuple[int, int] = (192, 144)
    duration_seconds: float = 2.0
    fps: float = 8.0


@dataclass(frozen=True, kw_only=True, slots=True)
class PortraitAnimation:
    """Result of one pair; frames are uint8 (T, H, W, 3).

    `truth`: frames of the target, of which the first is the reference. `driving_THWC`: frames that drive.
    `face_THWC6`: the signal `FACE_CONTROL`. `compared_THWC`: the animation by `COMPARED`.
    """

    truth: tuple[PuppetFrame, ...]
    driving_THWC: Frames
    face_THWC6: Frames
    animation_THWC: Frames
    compared_THWC: Frames


class PortraitAnimator:
    """Animates pairs with a model that reads faces, and with `COMPARED`."""

    def __init__(self, animator: Animator, model: Model, config: PortraitHeldoutConfig) -> None:
        self._config = config
        compared = find_model(COMPARED)
        self._models: Sequence[tuple[Animator, Model]] = (
            (animator, model),
            (compared.load(LoadOptions(dtype="float32")), compared),
        )
        self._pose: tuple[PoseStage, DrivingPoseStage] | None = None
        if config.setting == "portrait-detected":
            pose = PoseConfig(backend=EMBEDDED)
            self._pose = (PoseStage(pose), DrivingPoseStage(pose))
            for stage in self._pose:
                stage.open()

    def animate(self, pair: PortraitPair, *, seed: int) -> PortraitAnimation:
        """Animate a pair.

        Raises:
            BadRow: `zoetrope animate` would refuse it, for example since no character is detected.
        """
        num_frames = round(self._config.duration_seconds * self._config.fps)
        truth, driving = (tuple(render(spec, self._config.fps, num_frames)) for spec in (pair.target, pair.driving))
        row = _request(truth[0], driving) | self._keypoints(truth[0], driving)
        results = []
        for animator, model in self._models:
            of_model = {**row, "model_spec": model_spec(model, None).columns()}
            for stage in _stages(model):
                of_model = stage(of_model)
            results.append((of_model, _animated(animator, of_model, seed)))
        (own, animation), (_, compared) = results
        return PortraitAnimation(
            truth=truth,
            driving_THWC=row["driving_frames"],
            face_THWC6=own["face_control"],
            animation_THWC=animation,
            compared_THWC=compared,
        )

    def _keypoints(self, reference: PuppetFrame, driving: Sequence[PuppetFrame]) -> Row:
        if self._pose is None:
            return {
                "reference_keypoints": truth_as_detections(reference.keypoints),
                "driving_keypoints": np.stack([truth_as_detections(frame.keypoints) for frame in driving]),
            }
        of_picture, of_driving = self._pose
        row = _request(reference, driving)
        decoded = {
            "decoded_frames": row["driving_frames"],
            "decoded_seconds": np.arange(len(driving)) / self._config.fps,
        }
        return {
            "reference_keypoints": of_picture.process({"frames": reference.rgb[None], "frame_seconds": np.zeros(1)})[
                "keypoints"
            ][0],
            "driving_keypoints": of_driving.process({**row, **decoded})["decoded_keypoints"],
        }


def animate_portraits(
    animator: Animator, model: Model, config: PortraitHeldoutConfig
) -> Iterator[PortraitAnimation | None]:
    """Animate each pair; None where `zoetrope animate` would refuse it."""
    portraits = PortraitAnimator(animator, model, config)
    for seed in range(config.first_seed, config.first_seed + config.num_pairs):
        pair = sample_portrait_pair(seed, size_px=config.size_px, duration_seconds=config.duration_seconds)
        try:
            yield portraits.animate(pair, seed=seed)
        except BadRow as bad:
            logger.warning("pair %d: %s, %s", seed, bad.reason, bad.message)
            yield None


def _request(reference: PuppetFrame, driving: Sequence[PuppetFrame]) -> Row:
    """Columns that `zoetrope animate` reads from the request and from its files."""
    height, width = reference.rgb.shape[:2]
    return {
        **_REQUEST,
        "reference_image": reference.rgb,
        "driving_frames": np.stack([frame.rgb for frame in driving]),
        "driving_width_px": width,
        "driving_height_px": height,
        "canvas_width_px": width,
        "canvas_height_px": height,
        **dict.fromkeys(("driving_mask", "character_scale", "offset_x", "offset_y", "reference_mask")),
        **dict.fromkeys(("driving_joint_depths", "scene_frames", "agnostic_mask", "object_mask")),
    }


def _stages(model: Model) -> tuple[Stage[Any], ...]:
    return (
        SkeletonStage(SkeletonConfig()),
        FaceCropsStage(FaceCropsConfig()),
        SignalsStage(SignalsConfig(), model.system.signals),
    )


def _animated(animator: Animator, row: Row, seed: int) -> Frames:
    inputs = AnimationInputs(
        reference_HWC=row["reference_image"], pose_THWC=row["skeleton_frames"], seed=seed, signals=row["signals"]
    )
    return animator.animate(inputs).frames_THWC
