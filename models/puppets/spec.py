"""What a puppet video is made of, everything decided: plain frozen values that can be pickled and hashed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Colour = tuple[int, int, int]
Split = Literal["train", "heldout"]
Body = Literal["human", "anthropomorphic"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Proportions:
    """Sizes of a character, in units of its standing height (feet to the top of the head, without hat and ears)."""

    head_width: float  # half-axes of the head ellipsoid
    head_height: float
    head_depth: float
    neck: float
    torso: float
    shoulder_width: float  # half
    waist_width: float  # half
    hip_width: float  # half
    torso_depth: float  # half
    upper_arm: float  # 0: no arms
    forearm: float
    arm_radius: float
    hand: float  # from the wrist to the tip of the middle finger
    thigh: float  # 0: no legs
    shin: float
    leg_radius: float
    foot: float  # length
    hover: float = 0.0  # height of the body over the floor, for those without legs


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """Shape choices and colours of a character."""

    species: str
    face_on_body: bool  # the torso itself is the head (fruit, blob)
    skin: Colour
    accent: Colour  # inner ears, snout, belly
    hair: str
    hair_colour: Colour
    hat: str
    hat_colour: Colour
    top: str  # shirt, sleeveless, long_sleeves, dress, bare
    top_pattern: str
    top_colour: Colour
    top_second: Colour
    bottom: str  # trousers, shorts, skirt, bare
    bottom_colour: Colour
    shoe_colour: Colour
    hand_style: str  # fingers, mitten
    glove: Colour | None
    eye_colour: Colour
    eye_style: str  # oval, dot, wide
    eye_size: float
    mouth_width: float
    brow_colour: Colour
    outline: Colour
    cheeks: bool
    tail: str  # none, long, bushy, tuft


@dataclass(frozen=True, kw_only=True, slots=True)
class CharacterSpec:
    """One character. `recipe` names its combination of choices; train and held-out recipes never meet."""

    recipe: str
    body: Body
    proportions: Proportions
    look: Look


@dataclass(frozen=True, kw_only=True, slots=True)
class MotionSpec:
    """One motion and how it is performed."""

    name: str
    speed: float  # cycles per second
    phase: float  # cycles
    amplitude: float  # 1: as authored
    mirrored: bool
    yaw: float  # radians; 0 faces the camera, positive towards the image's right
    head_yaw: float
    smile: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectSpec:
    """One object. Held ones follow a hand; the others stand at (x, z) on the floor, in body heights."""

    object_id: str
    kind: str
    colour: Colour
    second: Colour
    size: float
    held: bool
    x: float = 0.0
    z: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ScenerySpec:
    """One background."""

    kind: str  # room, park, beach, stage, city, studio, snow
    seed: int
    palette: int
    light: float  # -1: light from the image's left, 1: from its right
    drift: float  # how fast clouds or stars move, body heights per second


@dataclass(frozen=True, kw_only=True, slots=True)
class ShotSpec:
    """One shot: where it is, how it is framed, and at which moment of the motion it starts."""

    start_seconds: float
    motion_offset_seconds: float
    yaw_offset: float
    scenery: ScenerySpec
    scale: float  # body height, as a share of the frame's height
    centre_x: float  # where the character's feet are, as a share of the frame's width
    floor_y: float  # where the floor under the character is, as a share of the frame's height
    pitch: float  # radians by which the camera looks down
    pan: float  # body heights per second
    sway: float  # body heights, camera swinging to and fro
    zoom: float  # growth of the scale over the swing, 0 for none


@dataclass(frozen=True, kw_only=True, slots=True)
class PuppetVideoSpec:
    """One puppet video. The same spec always gives the same frames."""

    seed: int
    split: Split
    height_px: int
    width_px: int
    duration_seconds: float
    character: CharacterSpec
    motion: MotionSpec
    objects: tuple[ObjectSpec, ...]
    shots: tuple[ShotSpec, ...]

    @property
    def shot_starts_seconds(self) -> tuple[float, ...]:
        """First moment of every shot; the first is 0."""
        return tuple(shot.start_seconds for shot in self.shots)

    def shot_at(self, time_seconds: float) -> ShotSpec:
        """The shot on display at a moment."""
        return [shot for shot in self.shots if shot.start_seconds <= max(time_seconds, 0.0)][-1]
