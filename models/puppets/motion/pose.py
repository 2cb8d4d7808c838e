"""Poses in character-independent units."""

from __future__ import annotations

from dataclasses import dataclass, replace

Triple = tuple[float, float, float]

REST_ARM: Triple = (0.22, -0.92, 0.12)
HALF_BENT_POLE: Triple = (0.5, -0.6, -0.8)


@dataclass(kw_only=True, slots=True)
class Side:
    """Arm and leg of one side. Triples are (outwards from the body, up, forwards)."""

    hand: Triple = REST_ARM  # from the shoulder, in arm lengths
    elbow: Triple = HALF_BENT_POLE  # direction of the elbow
    curl: float = 0.35  # 0: flat hand, 1: fist
    pointing: float = 0.0  # 1: the index finger stays straight
    palm: float = 0.0  # rotation of the hand about the forearm, radians
    foot: Triple = (0.0, 0.0, 0.0)  # offset from the rest position on the floor, in leg lengths
    toes: float = 0.0  # radians, positive points the toes down


@dataclass(kw_only=True, slots=True)
class Pose:
    """Pose of a character. `left` and `right` are the character's own. Angles are in radians."""

    left: Side
    right: Side
    root: Triple = (0.0, 0.0, 0.0)  # position in body heights: towards the image's right, up, towards the camera
    yaw: float = 0.0
    sway: float = 0.0  # shift of the pelvis towards the character's left, body heights
    crouch: float = 0.0  # lowering of the pelvis, in leg lengths
    lean: float = 0.0  # torso pitch, forward
    tilt: float = 0.0  # torso roll, towards its left
    twist: float = 0.0  # torso yaw relative to the pelvis
    head_yaw: float = 0.0
    head_pitch: float = 0.0
    head_roll: float = 0.0
    mouth: float = 0.0  # 0 closed, 1 wide open
    blink: float = 0.0  # 1: eyes shut
    brows: float = 0.0  # -1 frowning, 1 raised


def mirror(pose: Pose) -> Pose:
    """Mirror a pose: left and right exchanged, and the lateral position negated."""
    return replace(
        pose,
        left=pose.right,
        right=pose.left,
        sway=-pose.sway,
        tilt=-pose.tilt,
        twist=-pose.twist,
        yaw=-pose.yaw,
        head_yaw=-pose.head_yaw,
        head_roll=-pose.head_roll,
        root=(-pose.root[0], pose.root[1], pose.root[2]),
    )
