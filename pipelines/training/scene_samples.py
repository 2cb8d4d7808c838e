"""Samples in which a character is set into its scene: the signals of `SCENE_SIGNALS` and the reference's mask.

The scene is that of the sample's own clip, with its character hidden (`models.training.scene_spec`); the reference is
another frame of the clip, cropped to the character and set on a random background.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.animation.signals import (
    AGNOSTIC_MASK,
    OBJECT_FRAMES,
    OBJECT_MASK,
    REFERENCE_MASK,
    SCENE_FRAMES,
    STRUCTURED_DEPTH,
)
from models.compositing.reference import crop_to_character, on_background, random_background
from models.compositing.scale import recompose, scale_about
from models.depth.joint_depth import draw_structured_depth
from models.pose.skeleton import MIRROR, mirror_keypoints, scale_keypoints
from models.training.recipe import SamplingConfig
from models.training.sample_spec import SampleSpec, cut_masks
from models.training.scene_spec import SceneSpec, masks_without_scene
from pipelines.training.clip_scene import ClipScene
from pipelines.training.clip_source import ClipData
from stages.outcome import BadRow, Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class PosedPictures:
    """Reference and targets (G = 1 + F) of a sample.

    `pictures_GHWC`: uint8. `keypoints_GK3`: float32 (G, 133, 3) in pixels of the pictures. `drawn_GK3`: those to be
    drawn as skeletons.
    """

    pictures_GHWC: NDArray[np.uint8]
    keypoints_GK3: NDArray[np.float32]
    drawn_GK3: NDArray[np.float32]


def scene_sample(
    sample: PosedPictures,
    data: ClipData,
    scene: ClipScene,
    *,
    work_size_px: tuple[int, int],
    sampling: SamplingConfig,
    spec: SampleSpec,
    scene_spec: SceneSpec,
) -> tuple[PosedPictures, dict[str, NDArray[Any]]]:
    """The sample with its reference cropped and its targets enlarged if the draws say so; and its signals.

    `sample`: as cut by `spec`. `data`: the same frames and keypoints, the latter in pixels of `work_size_px`, before
    that cut. `scene`: the scene of `data`.

    Raises:
        BadRow: the character is too thin to be seen in the reference.
    """
    assert sampling.scene is not None
    character, objects = (cut_masks(masks[1:], spec, sampling) for masks in (scene.character_THW, scene.objects_THW))
    # Of the original size: an enlarged character exceeds it. Not even a pixel that it covers in part may show.
    covered = cut_masks(scene.character_THW[1:], spec, sampling, covering=True)
    hidden = masks_without_scene(covered, sampling.scene.mask, scene_spec)
    targets, keypoints, drawn = sample.pictures_GHWC[1:], sample.keypoints_GK3[1:], sample.drawn_GK3[1:]
    scene_frames = targets
    if scene_spec.scale > 1:
        larger = recompose(targets, character, objects, scene_spec.scale)
        targets, scene_frames, objects = larger.frames_THWC, larger.scene_THWC, larger.objects_THW
        scene_frames[: scene_spec.known_frames] = targets[: scene_spec.known_frames]
        keypoints, drawn = (scale_about(points, scene_spec.scale, larger.anchors_T2) for points in (keypoints, drawn))
    size_px = (sampling.height_px, sampling.width_px)
    depths = scene.joint_depths_TK[1:]
    picture, reference_keypoints, reference_mask = _reference(data, scene, work_size_px, size_px, spec, scene_spec)
    changed = PosedPictures(
        pictures_GHWC=np.concatenate([picture[None], targets]),
        keypoints_GK3=np.concatenate([reference_keypoints[None], keypoints]),
        drawn_GK3=np.concatenate([reference_keypoints[None], drawn]),
    )
    return changed, {
        SCENE_FRAMES: scene_frames,
        AGNOSTIC_MASK: hidden,
        OBJECT_FRAMES: np.stack([cv2.copyTo(*pair) for pair in zip(targets, objects.view(np.uint8), strict=True)]),
        OBJECT_MASK: objects,
        STRUCTURED_DEPTH: draw_structured_depth(depths[:, MIRROR] if spec.mirrored else depths, drawn, size_px),
        REFERENCE_MASK: reference_mask,
    }


def _reference(
    data: ClipData,
    scene: ClipScene,
    work_size_px: tuple[int, int],
    size_px: tuple[int, int],
    spec: SampleSpec,
    scene_spec: SceneSpec,
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]:
    """Picture, keypoints and mask of the character on a random background, of the sample's size."""
    assert data.frames is not None
    frame, mask = data.frames[0], scene.character_THW[0]
    if not mask.any():
        raise BadRow(
            Reason.INVALID_ROW,
            f"at {frame.shape[1]} x {frame.shape[0]} pixels nothing is left of the character's mask in frame "
            f"{spec.reference}, the reference",
        )
    in_frame = scale_keypoints(data.keypoints[0], work_size_px, frame.shape[:2])
    cropped = crop_to_character(frame, in_frame, size_px=size_px, mask_HW=mask)
    assert cropped.mask_HW is not None
    picture, keypoints, mask = cropped.picture_HWC, cropped.keypoints_K3, cropped.mask_HW
    if spec.mirrored:
        picture, mask = picture[:, ::-1], np.ascontiguousarray(mask[:, ::-1])
        keypoints = mirror_keypoints(keypoints, width_px=size_px[1])
    background = random_background(size_px, np.random.default_rng(scene_spec.background_seed))
    return on_background(picture, mask, background), keypoints, mask
