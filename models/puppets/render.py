"""Rendering of puppet video frames, with exact ground truth from the same geometry."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from models.pose.skeleton import LIMBS, NUM_KEYPOINTS
from models.puppets.character.body import Skeleton, Wrists, solve
from models.puppets.character.figure import draw_character
from models.puppets.drawing.brush import Image
from models.puppets.drawing.geometry import Vector, pitch_matrix, vector
from models.puppets.drawing.layers import CHARACTER, Drawing, darken
from models.puppets.motion.catalogue import GESTURES, MOTIONS
from models.puppets.motion.expression import Expression, expression_at, expression_of_pose
from models.puppets.motion.gestures import clear_of_face
from models.puppets.motion.pose import Pose, mirror
from models.puppets.scene.held import draw_held, hold
from models.puppets.scene.interactions import grip_at, hands_on_objects, interact, standing_yaw
from models.puppets.scene.living import LIVING_KINDS
from models.puppets.scene.nearby import draw_nearby
from models.puppets.scene.scenery import living_view, panorama, view
from models.puppets.spec import PuppetVideoSpec, ShotSpec
from models.puppets.truth import keypoints_in_space, visibility

CAMERA_DISTANCE = 4.0
BACKGROUND_DEPTH = 6.0
"""Depth of the background, in body heights."""
_OUTLINE = 0.0105
_ANGLE = np.linspace(0.0, 2.0 * math.pi, 24, endpoint=False)
_CIRCLE = np.stack((np.cos(_ANGLE), np.sin(_ANGLE)), axis=1)


@dataclass(slots=True)
class PuppetFrame:
    """Rendered frame with ground truth; see the docstring of the package for the fields."""

    rgb: NDArray[np.uint8]
    keypoints: NDArray[np.float32]
    depth: NDArray[np.float32]
    character_mask: NDArray[np.bool_]
    object_masks: dict[str, NDArray[np.bool_]]
    limb_depths: dict[str, float]


def render(spec: PuppetVideoSpec, fps: float, num_frames: int) -> Iterator[PuppetFrame]:
    """Render frames at times 0, 1/fps, 2/fps, ..."""
    for index in range(num_frames):
        yield render_frame(spec, index / fps)


def render_frame(spec: PuppetVideoSpec, time_seconds: float) -> PuppetFrame:
    """Render the frame at a time in seconds. Deterministic, independent of other frames."""
    shot = spec.shot_at(time_seconds)
    seconds = time_seconds - shot.start_seconds
    height, width = spec.height_px, spec.width_px
    swing = 0.5 - 0.5 * math.cos(2.0 * math.pi * seconds / 6.0)
    unit_px = round(shot.scale * height)
    scale = unit_px * (1.0 + shot.zoom * swing)
    camera_x = shot.sway * math.sin(2.0 * math.pi * seconds / 5.0)
    pivot = (shot.centre_x * width, float(round(shot.floor_y * height)))

    walked = shot.pan * seconds
    rgb = _background(spec, shot, seconds, pivot=pivot, offset_px=(camera_x + walked) * scale, zoom=scale / unit_px)
    if not spec.character_visible:
        return _scenery_alone(rgb)
    carrying = _as_carried(spec)
    skeleton = skeleton_at(spec, shot, seconds)
    drawing = Drawing(
        scale=scale,
        origin=(pivot[0] - camera_x * scale, pivot[1]),
        outline=_OUTLINE,
        outline_colour=spec.character.look.outline,
        light=shot.scenery.light,
    )
    face, ears = draw_character(
        drawing,
        spec.character,
        skeleton,
        _expression_at(spec, shot, seconds),
        seconds=seconds + shot.motion_offset_seconds,
    )
    camera = pitch_matrix(shot.pitch)
    drawing.outline_colour = carrying.character.look.outline
    for owner, item in enumerate(spec.objects, start=CHARACTER + 1):
        if item.held:
            grip = grip_at(item, spec.interaction, seconds, partial(skeleton_at, carrying, shot))
            draw_held(
                drawing,
                item,
                grip,
                skeleton_at(carrying, shot, seconds),
                carrying.character,
                key=float(skeleton.pelvis[2]),
                owner=owner,
                seconds=seconds,
            )
        else:
            yaw = standing_yaw(item, spec.interaction, seconds)
            draw_nearby(drawing, replace(item, x=item.x - walked, yaw=yaw), owner, camera)

    for x, y, radius in _shadows(spec, skeleton, camera, walked):
        _draw_shadow(rgb, drawing, x, y, radius=radius, flatness=max(math.sin(shot.pitch), 0.14))
    labels = np.zeros((height, width), np.uint8)
    drawing.paint(rgb, labels)
    points = keypoints_in_space(spec.character, skeleton, face, ears)
    return _with_truth(spec, drawing, points, rgb, labels)


def _background(
    spec: PuppetVideoSpec, shot: ShotSpec, seconds: float, *, pivot: tuple[float, float], offset_px: float, zoom: float
) -> Image:
    """Scenery behind the character, with the camera moved by `offset_px` at the floor and zoomed about `pivot`."""
    size = spec.height_px, spec.width_px
    if shot.scenery.kind in LIVING_KINDS:
        return living_view(shot.scenery, size=size, offset_px=offset_px, zoom=zoom, pivot=pivot, seconds=seconds)
    height, width = size
    unit_px = max(round(0.75 * height), round(shot.scale * height) if shot.scale > 1 else 0)
    pano = panorama(shot.scenery, width, height, int(pivot[1]), unit_px)
    return view(pano, shot.scenery, size=size, offset_px=offset_px, zoom=zoom, pivot=pivot, seconds=seconds)


def pose_at(spec: PuppetVideoSpec, shot: ShotSpec, seconds: float) -> Pose:
    """Pose at a time within a shot, in seconds from the shot's start."""
    motion = spec.motion
    seconds = seconds + shot.motion_offset_seconds
    pose = MOTIONS[motion.name](seconds * motion.speed + motion.phase, motion.amplitude)
    if motion.name in GESTURES:
        pose = clear_of_face(pose, spec.character.proportions)
    if motion.mirrored:
        pose = mirror(pose)
    blink = max(pose.blink, 1.0 if (seconds + 3.0 * motion.phase) % 2.7 < 0.14 else 0.0)
    pose = replace(pose, head_yaw=pose.head_yaw + motion.head_yaw, blink=blink)
    if not spec.character.proportions.thigh:
        bob = 0.03 * math.sin(2.0 * math.pi * seconds * 0.8)
        pose = replace(pose, root=(pose.root[0], pose.root[1] + bob + 0.03, pose.root[2]), yaw=pose.yaw)
    for item in spec.objects:
        if item.held:
            pose = hold(pose, item, seconds)
    return interact(pose, spec, seconds)


def _expression_at(spec: PuppetVideoSpec, shot: ShotSpec, seconds: float) -> Expression:
    speech = spec.motion.speech
    if speech is not None:
        return expression_at(speech, seconds + shot.motion_offset_seconds)
    return expression_of_pose(pose_at(spec, shot, seconds), spec.motion.smile)


def skeleton_at(spec: PuppetVideoSpec, shot: ShotSpec, seconds: float) -> Skeleton:
    """Skeleton of the character at a time within a shot, in seconds from the shot's start."""
    wrists: Wrists = (None, None)
    if spec.carrier is not None:
        left, right = carried_wrists(spec, shot, seconds)
        busy = hands_on_objects(spec)
        wrists = (left if 0 in busy else None, right if 1 in busy else None)
    return solve(
        spec.character,
        pose_at(spec, shot, seconds),
        yaw=spec.motion.yaw + shot.yaw_offset,
        camera_pitch=shot.pitch,
        wrists=wrists,
    )


def carried_wrists(spec: PuppetVideoSpec, shot: ShotSpec, seconds: float) -> tuple[Vector, Vector]:
    """Left and right wrist (3,) in camera space of the character that carries the objects.

    Raises:
        ValueError: it has no arms.
    """
    arms = skeleton_at(_as_carried(spec), shot, seconds).arms
    if arms is None:
        raise ValueError("the character that carries the objects has no arms")
    return arms[0].wrist, arms[1].wrist


def _as_carried(spec: PuppetVideoSpec) -> PuppetVideoSpec:
    """Spec with the character that carries the objects in place of the drawn one."""
    return spec if spec.carrier is None else replace(spec, character=spec.carrier, carrier=None)


def _shadows(
    spec: PuppetVideoSpec, skeleton: Skeleton, camera: NDArray[np.float64], walked: float
) -> Iterator[tuple[float, float, float]]:
    """Yield shadows on the floor: x, y in camera space, and radius."""
    p = spec.character.proportions
    slope = float(camera[2, 1] / camera[1, 1])  # tangent of the camera's pitch
    if skeleton.legs is not None:
        for leg in skeleton.legs:
            floor = float(skeleton.ground[1]) - float(leg.ankle[2] - skeleton.ground[2]) * slope
            gap = max((float(leg.ankle[1]) - floor) / float(camera[1, 1]) - 0.3 * p.foot, 0.0)
            middle = float(0.5 * (leg.heel[0] + leg.big_toe[0]))
            yield middle, floor, max(0.75 * p.foot * (1.0 - 1.5 * gap), 0.03)
    else:
        yield float(skeleton.pelvis[0]), float(skeleton.ground[1]), 1.1 * p.hip_width
    for item in spec.objects:
        if not item.held:
            foot = camera @ vector(item.x - walked, 0.0, item.z)
            yield float(foot[0]), float(foot[1]), 1.25 * item.size


def _draw_shadow(
    rgb: NDArray[np.uint8], drawing: Drawing, x: float, y: float, *, radius: float, flatness: float
) -> None:
    reach = np.array((radius * drawing.scale, max(radius * drawing.scale * flatness, 1.0)))
    points = drawing.to_pixels(np.array((x, y))) + _CIRCLE * reach
    darken(rgb, np.rint(np.clip(points, -4e3, 1.2e4) * 16.0).astype(np.int32), 0.32)


def _scenery_alone(rgb: Image) -> PuppetFrame:
    size = rgb.shape[:2]
    return PuppetFrame(
        rgb=rgb,
        keypoints=np.zeros((NUM_KEYPOINTS, 3), np.float32),
        depth=np.full(size, BACKGROUND_DEPTH, np.float32),
        character_mask=np.zeros(size, dtype=bool),
        object_masks={},
        limb_depths={},
    )


def _with_truth(
    spec: PuppetVideoSpec,
    drawing: Drawing,
    points: NDArray[np.float64],
    rgb: NDArray[np.uint8],
    labels: NDArray[np.uint8],
) -> PuppetFrame:
    height, width = labels.shape
    planes = drawing.depth_planes().astype(np.float32)
    depth = np.full((height, width), BACKGROUND_DEPTH, np.float32)
    x0, y0, box_width, box_height = cv2.boundingRect(labels)
    if box_width:
        window = labels[y0 : y0 + box_height, x0 : x0 + box_width]
        plane = planes[window]
        xs = np.arange(x0, x0 + box_width, dtype=np.float32)
        ys = np.arange(y0, y0 + box_height, dtype=np.float32)[:, None]
        z = np.clip(plane[..., 0] + plane[..., 1] * xs + plane[..., 2] * ys, plane[..., 3], plane[..., 4])
        inside = depth[y0 : y0 + box_height, x0 : x0 + box_width]
        np.copyto(inside, CAMERA_DISTANCE - z, where=window > 0)
    owners = np.zeros(256, np.uint8)
    owners[: len(drawing.owners)] = drawing.owners
    owner = cv2.LUT(labels, owners)
    pixels = np.zeros((len(points), 3), np.float32)
    exists = ~np.isnan(points[:, 0])
    pixels[exists, :2] = drawing.to_pixels(points[exists, :2])
    pixels[:, 2] = visibility(points, pixels[:, :2], labels, drawing.parts)
    limb_depths = {
        name: float(CAMERA_DISTANCE - 0.5 * (points[a, 2] + points[b, 2]))
        for name, (a, b) in LIMBS.items()
        if exists[a] and exists[b]
    }
    return PuppetFrame(
        rgb=rgb,
        keypoints=pixels,
        depth=depth,
        character_mask=owner == CHARACTER,
        object_masks={item.object_id: owner == index for index, item in enumerate(spec.objects, start=CHARACTER + 1)},
        limb_depths=limb_depths,
    )
