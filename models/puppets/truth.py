"""Ground-truth keypoints of a puppet and their visibility."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.pose.skeleton import FACE, INDEX, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND
from models.puppets.character.body import Skeleton
from models.puppets.character.face import Face
from models.puppets.drawing.geometry import Vector, vector
from models.puppets.spec import CharacterSpec

ABSENT, OCCLUDED, VISIBLE = 0.0, 1.0, 2.0
_SIDES = ("left", "right")
_PARTS = ("head", "torso", *(f"{s}_{p}" for s in _SIDES for p in ("ear", "arm", "hand", "leg", "foot")))


def keypoints_in_space(
    character: CharacterSpec, skeleton: Skeleton, face: Face, ears: tuple[Vector, Vector]
) -> NDArray[np.float64]:
    """(133, 4) points in camera space and 1 if on the camera's side, else 0; NaN for missing parts."""
    p = character.proportions
    points = np.full((NUM_KEYPOINTS, 4), np.nan)
    points[INDEX["nose"]] = (*face.nose, face.nose_facing)
    points[FACE, :3] = face.landmarks
    points[FACE, 3] = face.facing
    for index, (side, sign) in enumerate(zip(_SIDES, (1.0, -1.0), strict=True)):
        points[INDEX[f"{side}_eye"]] = (*face.eyes[index], face.eyes_facing[index])
        far = ears[index][2] < skeleton.head[2] - 0.3 * p.head_width
        points[INDEX[f"{side}_ear"]] = (*ears[index], not far)
        if skeleton.arms is not None:
            arm = skeleton.arms[index]
            facing = arm.shoulder[2] > skeleton.chest[2] - 0.55 * p.shoulder_width
            points[INDEX[f"{side}_shoulder"]] = (*arm.shoulder, facing)
            points[INDEX[f"{side}_elbow"]] = (*arm.elbow, True)
            points[INDEX[f"{side}_wrist"]] = (*arm.wrist, True)
            points[LEFT_HAND if index == 0 else RIGHT_HAND] = np.concatenate((arm.hand, np.ones((21, 1))), axis=1)
        elif not character.look.face_on_body:
            place = vector(sign * p.shoulder_width, -0.06 * p.torso, 0.0)
            shoulder = skeleton.chest + skeleton.torso_axes @ place
            points[INDEX[f"{side}_shoulder"]] = (*shoulder, shoulder[2] > skeleton.chest[2] - 0.55 * p.shoulder_width)
        if skeleton.legs is not None:
            leg = skeleton.legs[index]
            points[INDEX[f"{side}_hip"]] = (*leg.hip, leg.hip[2] > skeleton.pelvis[2] - 0.5 * p.hip_width)
            for name, joint in (("knee", leg.knee), ("ankle", leg.ankle), ("heel", leg.heel),
                                ("big_toe", leg.big_toe), ("small_toe", leg.small_toe)):  # fmt: skip
                points[INDEX[f"{side}_{name}"]] = (*joint, True)
        elif not character.look.face_on_body:
            hip = skeleton.pelvis + skeleton.pelvis_axes @ vector(sign * 0.62 * p.hip_width, 0.0, 0.0)
            points[INDEX[f"{side}_hip"]] = (*hip, hip[2] > skeleton.pelvis[2] - 0.5 * p.hip_width)
    return points


def _allowed_parts() -> NDArray[np.bool_]:
    """(133, parts) whether a keypoint is visible if its pixel shows the part."""
    allowed = np.zeros((NUM_KEYPOINTS, len(_PARTS)), dtype=bool)

    def allow(name: int | slice, *parts: str) -> None:
        for part in parts:
            allowed[name, _PARTS.index(part)] = True

    allow(FACE, "head")
    allow(INDEX["nose"], "head")
    for side in _SIDES:
        allow(INDEX[f"{side}_eye"], "head")
        allow(INDEX[f"{side}_ear"], f"{side}_ear", "head")
        allow(INDEX[f"{side}_shoulder"], f"{side}_arm", "torso", "head")
        allow(INDEX[f"{side}_elbow"], f"{side}_arm")
        allow(INDEX[f"{side}_wrist"], f"{side}_arm", f"{side}_hand")
        allow(LEFT_HAND if side == "left" else RIGHT_HAND, f"{side}_hand", f"{side}_arm")
        allow(INDEX[f"{side}_hip"], f"{side}_leg", "torso", "head")
        allow(INDEX[f"{side}_knee"], f"{side}_leg")
        allow(INDEX[f"{side}_ankle"], f"{side}_leg", f"{side}_foot")
        for name in ("heel", "big_toe", "small_toe"):
            allow(INDEX[f"{side}_{name}"], f"{side}_foot")
    return allowed


_ALLOWED = _allowed_parts()
_LIMB_ONLY = np.array([name not in ("head", "torso") for name in _PARTS])


def visibility(
    points: NDArray[np.float64],
    pixels: NDArray[np.float32],
    labels: NDArray[np.uint8],
    parts: list[str],
) -> NDArray[np.float32]:
    """(133,) 0 absent or outside the frame, 1 occluded, 2 visible, from the label at each keypoint's pixel.

    A keypoint on the far side of head or trunk is visible only if its pixel shows its own limb.
    """
    height, width = labels.shape
    exists = ~np.isnan(points[:, 0])
    columns, rows = np.rint(pixels[:, 0]).astype(int), np.rint(pixels[:, 1]).astype(int)
    inside = exists & (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    part_of_label = np.array([_PARTS.index(part) if part in _PARTS else -1 for part in parts])
    part_at_pixel = np.full(NUM_KEYPOINTS, -1)
    part_at_pixel[inside] = part_of_label[labels[rows[inside], columns[inside]]]
    allowed = _ALLOWED[np.arange(NUM_KEYPOINTS), part_at_pixel] & (part_at_pixel >= 0)
    facing = np.nan_to_num(points[:, 3]) > 0.5
    far_side_of_face = np.zeros(NUM_KEYPOINTS, dtype=bool)
    far_side_of_face[FACE] = True
    far_side_of_face[[INDEX["nose"], INDEX["left_eye"], INDEX["right_eye"]]] = True
    visible = allowed & (facing | (_LIMB_ONLY[part_at_pixel] & ~far_side_of_face))
    result = np.where(visible, VISIBLE, OCCLUDED)
    return np.where(inside, result, ABSENT).astype(np.float32)


def truth_as_detections(truth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convert ground-truth keypoints (133, 3) to the form of detections: visibility becomes a score, 0 or 1."""
    return np.concatenate([truth[:, :2], truth[:, 2:] > ABSENT], axis=1).astype(np.float32)
