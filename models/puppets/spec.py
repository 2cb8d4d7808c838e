"""Specification of a puppet video: frozen, picklable, hashable dataclasses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Colour = tuple[int, int, int]
Split = Literal["train", "heldout"]
Body = Literal["human", "anthropomorphic"]
Interaction = Literal["held", "thrown", "passed", "passed_around", "sat_on", "walked_behind", "walked_in_front"]


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
    face_on_body: bool  # the torso serves as the head (fruit, blob)
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
    """Character. `recipe` identifies its combination of choices; recipes of train and held-out are disjoint."""

    recipe: str
    body: Body
    proportions: Proportions
    look: Look


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeechSpec:
    """Facial expression of a character that talks."""

    seed: int
    syllables_per_second: float
    emotion_seconds: float  # mean duration of an emotion
    amplitude: float  # 1: as authored


@dataclass(frozen=True, kw_only=True, slots=True)
class MotionSpec:
    """Motion and its performance parameters."""

    name: str
    speed: float  # cycles per second
    phase: float  # cycles
    amplitude: float  # 1: as authored
    mirrored: bool
    yaw: float  # radians; 0 faces the camera, positive towards the image's right
    head_yaw: float
    smile: float
    speech: SpeechSpec | None = None  # None: mouth, eyes and brows as the motion has them


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectSpec:
    """Object. Held objects follow a hand, the left if `x` >= 0; the others stand on the floor at (x, z).

    Lengths are in body heights.
    """

    object_id: str
    kind: str
    colour: Colour
    second: Colour
    size: float
    held: bool
    x: float = 0.0
    z: float = 0.0
    yaw: float = 0.0  # radians, of standing objects; 0 faces the camera
    stretch: float = 1.0  # height of standing objects, relative to that of their kind


@dataclass(frozen=True, kw_only=True, slots=True)
class InteractionSpec:
    """Interaction of a character with the objects."""

    kind: Interaction
    period_seconds: float  # of a throw with its catch, of a pass there and back, of a walk from side to side
    phase: float  # periods
    reach: float  # height of a throw, or half the length of a walk, in body heights
    turn_seconds: float = 0.0  # duration of a turn on the spot, with which the video begins; 0: no turn
    turn_from: float = 0.0  # yaw at the start of the turn, radians


@dataclass(frozen=True, kw_only=True, slots=True)
class ScenerySpec:
    """Background."""

    kind: str  # room, park, beach, stage, city, studio, snow, or a kind that moves by itself
    seed: int
    palette: int
    light: float  # -1: light from the image's left, 1: from its right
    drift: float  # speed of the clouds, frame heights per second


@dataclass(frozen=True, kw_only=True, slots=True)
class ShotSpec:
    """Shot: scenery, framing, camera motion and start time within the motion."""

    start_seconds: float
    motion_offset_seconds: float
    yaw_offset: float
    scenery: ScenerySpec
    scale: float  # body height, relative to the frame's height
    centre_x: float  # x of the character's feet, relative to the frame's width
    floor_y: float  # y of the floor under the character, relative to the frame's height
    pitch: float  # downward tilt of the camera, radians
    pan: float  # body heights per second
    sway: float  # amplitude of horizontal camera oscillation, body heights
    zoom: float  # relative increase of the scale during an oscillation, 0 for none


@dataclass(frozen=True, kw_only=True, slots=True)
class PuppetVideoSpec:
    """Puppet video. Rendering is deterministic.

    `carrier`: the character in whose hands the objects move, if it is not the one that is drawn; the drawn character
    reaches for its wrists.
    `character_visible`: False for the scenery alone, without character and objects.
    """

    seed: int
    split: Split
    height_px: int
    width_px: int
    duration_seconds: float
    character: CharacterSpec
    motion: MotionSpec
    objects: tuple[ObjectSpec, ...]
    shots: tuple[ShotSpec, ...]
    interaction: InteractionSpec | None = None
    carrier: CharacterSpec | None = None
    character_visible: bool = True

    @property
    def shot_starts_seconds(self) -> tuple[float, ...]:
        """Start time of every shot; the first is 0."""
        return tuple(shot.start_seconds for shot in self.shots)

    def shot_at(self, time_seconds: float) -> ShotSpec:
        """Shot at a time in seconds."""
        return [shot for shot in self.shots if shot.start_seconds <= max(time_seconds, 0.0)][-1]
