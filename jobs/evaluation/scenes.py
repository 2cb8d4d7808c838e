"""Held-out scenes: a picture's character replaces that of a puppet video, with the steps of `zoetrope animate`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from jobs.evaluation.scene_baselines import AnimateAnyonePasted, draft
from models.animation.animator import AnimationInputs, Animator
from models.animation.system import Model
from models.depth.joint_depth import joint_depths
from models.perception.embedded import EmbeddedFigure
from models.puppets import PuppetFrame, ScenePair, object_prompts, render, sample_scene_pair
from models.puppets.truth import truth_as_detections
from pipelines.model_specs import model_spec
from stages.animate.driving_depth import DrivingDepthStage
from stages.animate.driving_mask import DrivingMaskStage
from stages.animate.driving_objects import DrivingObjectsStage
from stages.animate.driving_span import DrivingSpanConfig, DrivingSpanStage
from stages.animate.keypoints import DrivingPoseStage, ReferencePoseStage
from stages.animate.paste_back import set_into
from stages.animate.reference_crop import ReferenceCropConfig, ReferenceCropStage, ReferenceMaskStage
from stages.animate.scene import SceneConfig, SceneStage
from stages.animate.signals import SignalsConfig, SignalsStage
from stages.animate.skeleton import SkeletonConfig, SkeletonStage
from stages.backends.base import EMBEDDED
from stages.base import Row, Stage
from stages.outcome import BadRow
from stages.prepare.character_mask import CharacterMaskConfig
from stages.prepare.depth import DepthConfig
from stages.prepare.object_masks import ObjectMasksConfig
from stages.prepare.pose import PoseConfig

logger = logging.getLogger(__name__)

Frames = NDArray[np.uint8]
Masks = NDArray[np.bool_]

SceneSetting = Literal["scene-exact", "scene-detected"]
SCENE_SETTINGS: tuple[SceneSetting, ...] = get_args(SceneSetting)

REQUEST = dict.fromkeys(
    ("clip", "clip_id", "retarget", "character_scale", "offset_x", "offset_y", "keep_objects", "paste_back")
)
"""Columns of a request that leaves everything to the defaults."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneHeldoutConfig:
    """Pairs of held-out puppets in one scene (`models.puppets.pairs.sample_scene_pair`).

    Args:
        setting: origin of keypoints, masks, depth and object masks:
            "scene-exact": the ground truth of the driving video and of the reference.
            "scene-detected": the embedded networks, as in `zoetrope animate --preset puppets`; the true boxes
                of objects are prompts.
        num_pairs, first_seed: number of pairs and seed of the first.
        size_px, duration_seconds, fps: shape of the clips; `size_px` is (height, width).
    """

    setting: SceneSetting = "scene-exact"
    num_pairs: int = 40
    first_seed: int = 0
    size_px: tuple[int, int] = (192, 144)
    duration_seconds: float = 2.0
    fps: float = 8.0


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneTruth:
    """A rendered pair. `reference`: the picture of the character. `driving`, `target`: frames of the two videos."""

    reference: PuppetFrame
    driving: tuple[PuppetFrame, ...]
    target: tuple[PuppetFrame, ...]

    @classmethod
    def of(cls, pair: ScenePair, config: SceneHeldoutConfig) -> SceneTruth:
        """Render a pair."""
        num_frames = round(config.duration_seconds * config.fps)
        driving, target = (tuple(render(spec, config.fps, num_frames)) for spec in (pair.driving, pair.target))
        return cls(reference=next(render(pair.reference, config.fps, 1)), driving=driving, target=target)


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneAnimation:
    """Result of one pair and its ground truth; frames are uint8 (T, H, W, 3).

    `reference_HWC`, `environment_THWC`, `draft_THWC`: inputs of the network (the draft is that of the small models).
    `animation_THWC`: as `zoetrope animate` makes it. `skeleton_keypoints`: (T, 133, 3), placed in the scene.
    """

    truth: SceneTruth
    reference_HWC: Frames
    environment_THWC: Frames
    draft_THWC: Frames
    animation_THWC: Frames
    skeleton_keypoints: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparedAnimation(SceneAnimation):
    """Result of one pair, and what it is compared with.

    `with_exact_masks_THWC`: with exact masks in place of shape-agnostic ones. `paste_THWC`: the reference moved limb by
    limb into the scene. `animate_anyone_THWC`: see `AnimateAnyonePasted`.
    """

    with_exact_masks_THWC: Frames
    paste_THWC: Frames
    animate_anyone_THWC: Frames


class SceneAnimator:
    """Animates pairs with a model that keeps the scene."""

    def __init__(self, animator: Animator, model: Model, config: SceneHeldoutConfig) -> None:
        self._animator, self._config = animator, config
        self._spec = model_spec(model, None).columns()
        self._perception: Sequence[Stage[Any]] = _networks() if config.setting == "scene-detected" else ()
        self._signals = SignalsStage(SignalsConfig(), model.system.signals)
        self._before: Sequence[Stage[Any]] = (
            ReferenceCropStage(ReferenceCropConfig()),
            SkeletonStage(SkeletonConfig()),
            SceneStage(SceneConfig()),
        )
        self._animate_anyone = AnimateAnyonePasted(EmbeddedFigure())

    def animate(self, pair: ScenePair, *, seed: int) -> SceneAnimation:
        """Animate a pair.

        Raises:
            BadRow: `zoetrope animate` would refuse it, for example since no character is detected.
        """
        truth, row = self._row(pair)
        return SceneAnimation(**self._animation(truth, row, seed))

    def compare(self, pair: ScenePair, *, seed: int) -> ComparedAnimation:
        """Animate a pair in all ways. Raises as `animate`."""
        truth, row = self._row(pair)
        # The masks themselves, in place of the areas that hide their shapes.
        exact = {**row, "agnostic_mask": row["driving_mask"]}
        return ComparedAnimation(
            **self._animation(truth, row, seed),
            with_exact_masks_THWC=self._result(exact, seed),
            paste_THWC=draft(self._signals(exact)),
            animate_anyone_THWC=self._animate_anyone(exact, seed=seed),
        )

    def _row(self, pair: ScenePair) -> tuple[SceneTruth, Row]:
        truth = SceneTruth.of(pair, self._config)
        row = _request(pair, truth, self._config) | {"model_spec": self._spec}
        if self._config.setting == "scene-exact":
            row |= _exact_columns(truth)
        for stage in (*self._perception, *self._before):
            row = stage(row)
        return truth, row

    def _animation(self, truth: SceneTruth, row: Row, seed: int) -> dict[str, Any]:
        """Fields of a `SceneAnimation`."""
        hidden = row["agnostic_mask"][..., None]
        return {
            "truth": truth,
            "reference_HWC": row["reference_image"],
            "environment_THWC": np.where(hidden, np.uint8(0), row["scene_frames"]),
            "draft_THWC": draft(self._signals(row)),
            "animation_THWC": self._result(row, seed),
            "skeleton_keypoints": row["skeleton_keypoints"],
        }

    def _result(self, row: Row, seed: int) -> Frames:
        inputs = AnimationInputs(
            reference_HWC=row["reference_image"],
            pose_THWC=row["skeleton_frames"],
            seed=seed,
            signals=self._signals(row)["signals"],
        )
        animated = {**row, "animation_frames": self._animator.animate(inputs).frames_THWC}
        return np.stack(list(set_into(animated, row["driving_frames"])))


def animate_scenes(animator: Animator, model: Model, config: SceneHeldoutConfig) -> Iterator[ComparedAnimation | None]:
    """Animate each pair in all ways; None where `zoetrope animate` would refuse it."""
    scenes = SceneAnimator(animator, model, config)
    for seed in range(config.first_seed, config.first_seed + config.num_pairs):
        pair = sample_scene_pair(seed, size_px=config.size_px, duration_seconds=config.duration_seconds)
        try:
            yield scenes.compare(pair, seed=seed)
        except BadRow as bad:
            logger.warning("pair %d: %s, %s", seed, bad.reason, bad.message)
            yield None


def _request(pair: ScenePair, truth: SceneTruth, config: SceneHeldoutConfig) -> Row:
    """Columns that `zoetrope animate` reads from the request and from its files."""
    height, width = config.size_px
    seconds = [index / config.fps for index in range(len(truth.driving))]
    frames = np.stack([frame.rgb for frame in truth.driving])
    part = {
        "width_px": width,
        "height_px": height,
        "start_seconds": 0.0,
        "num_frames": len(frames),
        "frame_step": 1,
        "fps": config.fps,
    }
    return {
        **REQUEST,
        "reference_uri": "the reference",
        "reference_picture": truth.reference.rgb,
        "width_px": None,
        "height_px": None,
        "driving_frames": frames,
        "driving_part": part,
        "driving_width_px": width,
        "driving_height_px": height,
        "canvas_width_px": width,
        "canvas_height_px": height,
        "frame_seconds": seconds,
        "decoded_frames": frames,
        "decoded_seconds": seconds,
        "decoded_audio": None,
        "decoded_part": part,
        "fps": config.fps,
        "sound_fallback": None,
        "objects": object_prompts(pair.driving, truth.driving, seconds),
        "scene_weights": None,
    }


def _exact_columns(truth: SceneTruth) -> Row:
    """Columns of the perception stages, from the ground truth."""
    driving = truth.driving
    keypoints = np.stack([truth_as_detections(frame.keypoints) for frame in driving])
    masks = np.stack([frame.character_mask for frame in driving])
    objects = [np.stack([frame.object_masks[name] for frame in driving]) for name in driving[0].object_masks]
    depth = np.stack([frame.depth for frame in driving])
    return {
        "picture_keypoints": truth_as_detections(truth.reference.keypoints),
        "picture_mask": truth.reference.character_mask,
        "driving_keypoints": keypoints,
        "driving_mask": masks,
        "driving_objects": np.logical_or.reduce(objects),
        # As in training: only the character's own depth.
        "driving_joint_depths": joint_depths(np.where(masks, depth, np.float32(np.nan)), keypoints),
    }


def _networks() -> list[Stage[Any]]:
    """Perception of `zoetrope animate` with the embedded networks, in its order."""
    stages: list[Stage[Any]] = [
        DrivingPoseStage(PoseConfig(backend=EMBEDDED)),
        DrivingSpanStage(DrivingSpanConfig()),
        DrivingMaskStage(CharacterMaskConfig(backend=EMBEDDED)),
        DrivingObjectsStage(ObjectMasksConfig(backend=EMBEDDED)),
        DrivingDepthStage(DepthConfig(backend=EMBEDDED)),
        ReferencePoseStage(PoseConfig(backend=EMBEDDED)),
        ReferenceMaskStage(CharacterMaskConfig(backend=EMBEDDED)),
    ]
    for stage in stages:
        stage.open()
    return stages
