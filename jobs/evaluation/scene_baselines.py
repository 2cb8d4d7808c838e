"""Baselines of animations in scenes: a cut-out, pasted into the driving video without its character."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from models.animation.animator import AnimationInputs, Animator
from models.animation.clip import ClipBatch
from models.animation.system import LoadOptions
from models.perception.embedded import EmbeddedFigure
from models.pose.extent import CONFIDENT_SCORE
from models.pose.pose_map import PRESETS, draw_poses
from models.puppet_models.limb_warp import LimbWarp
from models.puppet_models.scene_draft import SceneDraft, uncovered
from models.puppets import PuppetFrame
from models.puppets.truth import truth_as_detections
from models.systems import find_model
from pipelines.model_specs import model_spec
from stages.animate.signals import SignalsConfig, SignalsStage
from stages.base import Row

ANIMATE_ANYONE = "animate-anyone-puppets"
_BATCH = 16

Frames = NDArray[np.uint8]


def draft(row: Row) -> Frames:
    """The draft of a row with `signals`: its reference, moved limb by limb, in its scene and behind its objects."""
    clip = ClipBatch(
        references_BHWC=row["reference_image"][None],
        poses_BFHWC=row["skeleton_frames"][None],
        signals={name: array[None] for name, array in row["signals"].items()},
    )
    return np.concatenate(list(SceneDraft(clip, batch=_BATCH).pictures(0)))


def placed_truth(truth: Sequence[PuppetFrame], skeletons_TK3: NDArray[np.float32]) -> Frames:
    """The true frames with their character moved limb by limb to placed skeletons (T, 133, 3).

    The errors of retargeting and placement alone: of an animation with the right appearance before the right scene.
    """
    frames, masks = (np.stack([getattr(frame, name) for frame in truth]) for name in ("rgb", "character_mask"))
    objects = np.stack([np.logical_or.reduce([*frame.object_masks.values()]) for frame in truth])
    placed = uncovered(frames, masks, objects)
    for t, frame in enumerate(truth):
        warp = LimbWarp(frame.rgb, truth_as_detections(frame.keypoints), mask_HW=frame.character_mask)
        warp.onto(placed[t : t + 1], skeletons_TK3[t : t + 1])
    placed[objects] = frames[objects]
    return placed


class AnimateAnyonePasted:
    """The small Animate Anyone animates the reference by the placed skeleton; its character is cut out with the mask of
    the embedded figure network and pasted into the driving video without its character, behind the objects.

    The reference is scaled and moved to the skeleton's first frame beforehand, since Animate Anyone keeps the size.
    """

    def __init__(self, figure: EmbeddedFigure) -> None:
        self._figure = figure
        self._model = find_model(ANIMATE_ANYONE)
        self._signals = SignalsStage(SignalsConfig(), self._model.system.signals)

    def __call__(self, row: Row, *, seed: int) -> Frames:
        """Frames (T, H, W, 3) of a row after `scene`; its `agnostic_mask` is what is filled from the scene."""
        row = {**row, **standing(row), "model_spec": model_spec(self._model, None).columns() | {"keeps_scene": False}}
        keypoints, scene, objects = row["skeleton_keypoints"], row["scene_frames"], row["object_mask"]
        height, width = scene.shape[1:3]
        preset = PRESETS[self._model.variant.config.pose_preset]
        inputs = AnimationInputs(
            reference_HWC=row["reference_image"],
            pose_THWC=draw_poses(keypoints, height_px=height, width_px=width, preset=preset),
            seed=seed,
            signals=self._signals(row)["signals"],
        )
        frames = self._animator.animate(inputs).frames_THWC
        masks = self._figure.character_mask(frames, keypoints)
        pasted = uncovered(scene, row["agnostic_mask"], objects)
        pasted[masks] = frames[masks]
        pasted[objects] = scene[objects]
        return pasted

    @cached_property
    def _animator(self) -> Animator:
        return self._model.load(LoadOptions(dtype="float32"))


def standing(row: Row) -> Row:
    """`reference_image` and `reference_keypoints`, scaled and moved to the first skeleton that shares keypoints."""
    picture, reference, skeletons = row["reference_image"], row["reference_keypoints"], row["skeleton_keypoints"]
    scale = LimbWarp(picture, reference).scale_to(skeletons)
    shift = np.zeros(2)
    for skeleton in skeletons:
        common = (reference[:, 2] >= CONFIDENT_SCORE) & (skeleton[:, 2] >= CONFIDENT_SCORE)
        if common.any():
            shift = (skeleton[common, :2] - scale * reference[common, :2]).mean(axis=0)
            break
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    moved = reference.copy()
    moved[:, :2] = scale * reference[:, :2] + shift
    return {
        "reference_image": cv2.warpAffine(picture, matrix, picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE),
        "reference_keypoints": moved,
    }
