"""Face: 68 landmarks on the head, and drawing of eyes, eyebrows, nose and mouth from the same layout."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.puppets.drawing.colours import WHITE, mixed
from models.puppets.drawing.geometry import Vector
from models.puppets.drawing.layers import Layer
from models.puppets.drawing.surface import Points, Surface, ellipse_patch
from models.puppets.motion.expression import Expression
from models.puppets.spec import CharacterSpec, Colour, Look

_MOUTH: Colour = (120, 34, 44)
_LIPS: Colour = (206, 84, 92)
_PUPIL: Colour = (24, 20, 28)
_RIM = 0.035  # outline of an eye, radians
_TONGUE: Colour = (232, 108, 112)
_S5 = np.linspace(-1.0, 1.0, 7)[1:-1]
_S3 = np.linspace(-0.85, 0.85, 5)[1:-1]
_SMOOTH = np.linspace(-1.0, 1.0, 13)
_RING = np.deg2rad((180.0, 120.0, 60.0, 0.0, -60.0, -120.0))
_LOWER_LID = -np.linspace(math.pi, 0.0, 9)
_FINE_RING = np.linspace(0.0, 2.0 * math.pi, 20, endpoint=False)


@dataclass(slots=True)
class Face:
    """Face landmarks in camera space. `landmarks`: (68, 3); `facing`: (68,) bool, on the camera's side of the head."""

    landmarks: NDArray[np.float64]
    facing: NDArray[np.bool_]
    nose: Vector
    nose_facing: bool
    eyes: tuple[Vector, Vector]
    eyes_facing: tuple[bool, bool]


@dataclass(slots=True)
class _Layout:
    """Positions and sizes of the features on the head, in radians. Index 0 of a pair is the left side, 1 the right."""

    eye_lon: float
    eye_lat: float
    eye_width: float
    eye_height: float
    eyes_open: tuple[float, float]
    nose_lat: float
    mouth_lat: float
    mouth_width: float
    lip: float  # thickness of each lip
    brow_lat: tuple[float, float]
    brow_tilt: tuple[float, float]


def _layout(character: CharacterSpec, expression: Expression, has_muzzle: bool) -> _Layout:
    look = character.look
    size = look.eye_size
    wide = {"wide": 1.18, "oval": 0.82, "dot": 0.62}[look.eye_style]
    tall = {"wide": 1.0, "oval": 1.15, "dot": 0.80}[look.eye_style]
    eye_lat = 0.06 if not has_muzzle else 0.16
    brows = list(zip(expression.brow_raise, expression.brow_frown, strict=True))
    left, right = (eye_lat + size * tall + 0.13 + 0.09 * raised - 0.04 * frown for raised, frown in brows)
    tilt_left, tilt_right = (0.05 - 0.05 * raised - 0.13 * frown for raised, frown in brows)
    return _Layout(
        eye_lon=0.24 + size * 0.85 * max(wide, 0.8),
        eye_lat=eye_lat,
        eye_width=size * wide,
        eye_height=size * tall,
        eyes_open=expression.eyes_open if expression.detailed else (1.0, 1.0),
        nose_lat=-0.20 if not has_muzzle else 0.45,
        mouth_lat=-0.48 if not has_muzzle else -0.25,
        mouth_width=look.mouth_width * (1.0 if not has_muzzle else 1.7) * expression.mouth_width,
        lip=0.06 + 0.03 * expression.rounding if expression.detailed else 0.025,
        brow_lat=(left, right),
        brow_tilt=(tilt_left, tilt_right),
    )


def _lips(f: _Layout, expression: Expression, s: Points, *, inner: bool) -> tuple[Points, Points]:
    """Longitudes and latitudes (n, 2) of the upper and lower lip at positions `s` from -1 (right corner) to 1."""
    curve = f.mouth_lat + 0.16 * expression.smile * expression.mouth_width * s * s
    thickness = 0.0 if inner else f.lip
    arc, round_ = 1.0 - s * s, expression.rounding
    if round_:
        arc = (1.0 - round_) * arc + round_ * np.sqrt(arc)
    lift = 0.16 * round_ * expression.jaw
    upper = np.stack((s * f.mouth_width, curve + (thickness + lift) * arc), axis=1)
    lower = np.stack((s * f.mouth_width, curve - (thickness + 0.03 + 0.42 * expression.jaw) * arc), axis=1)
    return upper, lower


def _eye_ring(f: _Layout, sign: float, angle: Points = _RING) -> Points:
    """Rim of an eye between its lids, counter-clockwise; shut lids meet in an arc below the eye's middle."""
    shut = 1.0 - f.eyes_open[0 if sign > 0 else 1]
    cos, sin = np.cos(angle), np.sin(angle)
    corner = -0.3 * shut
    lid = np.where(sin >= 0.0, 1.0 - 1.55 * shut, -1.0 + 0.45 * shut)
    profile = (1.0 - shut) * np.abs(sin) + shut * (1.0 - cos * cos)
    rise = corner + (lid - corner) * profile
    return np.stack((sign * f.eye_lon + f.eye_width * cos, f.eye_lat + f.eye_height * rise), axis=1)


def _brow(f: _Layout, sign: float, count: int = 5) -> Points:
    """Points of an eyebrow: outer to inner end for the right (sign -1), inner to outer end for the left."""
    side = 0 if sign > 0 else 1
    s = np.linspace(-1.0, 1.0, count)
    outward = s * sign
    lat = f.brow_lat[side] + 0.07 * (1.0 - s * s) - f.brow_tilt[side] * outward
    return np.stack((sign * f.eye_lon + s * max(f.eye_width, 0.15) * 1.1, lat), axis=1)


def landmarks(character: CharacterSpec, expression: Expression, head: Surface, muzzle: Surface | None) -> Face:
    """Landmarks, eyes and nose of a face on a head; mouth and nose are on the muzzle if there is one."""
    f = _layout(character, expression, muzzle is not None)
    jaw_angle = np.linspace(-1.0, 1.0, 17)
    jaw = np.stack((jaw_angle * 1.45, 0.08 - 1.05 * np.cos(jaw_angle * 0.5 * math.pi) ** 0.8), axis=1)
    on_head = [jaw, _brow(f, -1.0), _brow(f, 1.0), _eye_ring(f, -1.0), _eye_ring(f, 1.0)]
    head_points, head_facing = head.at(np.concatenate(on_head))

    lower_face = muzzle if muzzle is not None else head
    bridge = np.stack((np.zeros(4), np.linspace(f.nose_lat + (0.25 if muzzle is None else 0.5), f.nose_lat, 4)), axis=1)
    base = np.stack((np.linspace(-0.12, 0.12, 5), np.full(5, f.nose_lat - 0.07)), axis=1)
    outer_upper, outer_lower = _lips(f, expression, np.array((-1.0, *_S5, 1.0)), inner=False)
    inner_upper, inner_lower = _lips(f, expression, np.array((-0.85, *_S3, 0.85)), inner=True)
    mouth = np.concatenate((outer_upper, outer_lower[-2:0:-1], inner_upper, inner_lower[-2:0:-1]))
    nose_points, nose_facing = lower_face.at(np.concatenate((bridge, base)), lift=0.06)
    mouth_points, mouth_facing = lower_face.at(mouth)

    points = np.concatenate((head_points[:27], nose_points, head_points[27:39], mouth_points))
    facing = np.concatenate((head_facing[:27], nose_facing, head_facing[27:39], mouth_facing))
    eyes, eyes_facing = head.at(np.array(((f.eye_lon, f.eye_lat), (-f.eye_lon, f.eye_lat))))
    return Face(
        landmarks=points,
        facing=facing,
        nose=points[30],
        nose_facing=bool(facing[30]),
        eyes=(eyes[0], eyes[1]),
        eyes_facing=(bool(eyes_facing[0]), bool(eyes_facing[1])),
    )


def draw_face(
    layer: Layer, character: CharacterSpec, expression: Expression, head: Surface, muzzle: Surface | None
) -> None:
    """Draw eyes, eyebrows, nose and mouth. The head must be drawn first."""
    look = character.look
    f = _layout(character, expression, muzzle is not None)
    painted: list[tuple[Surface, Points, Colour]] = []
    if look.cheeks:
        blush = mixed(look.skin, (240, 96, 96), 0.4)
        painted += [(head, ellipse_patch(s * (f.eye_lon + 0.22), f.eye_lat - 0.42, 0.15, 0.1), blush) for s in (-1, 1)]
    for sign in (-1.0, 1.0):
        painted += [(head, patch, colour) for patch, colour in _eye(f, sign, character, expression)]
        painted.append((head, _band(_brow(f, sign, 7), 0.035), look.brow_colour))
    lower_face = muzzle if muzzle is not None else head
    painted += [(lower_face, patch, colour) for patch, colour in _mouth(f, expression, look)]
    for surface, patch, colour in painted:
        middle = patch.mean(axis=0)
        if surface.facing(float(middle[0]), float(middle[1])) > 0.08:
            outline = surface.patch(surface.directions(patch))
            if outline is not None:
                layer.decal(outline, colour, convex=False)


def nose_ball(character: CharacterSpec, head: Surface) -> tuple[Vector, float, Colour]:
    """Centre, radius and colour of the nose of a face without a muzzle."""
    lat = -0.20
    centre = head.point(0.0, math.sin(lat), 1.02 * math.cos(lat))
    return centre, 0.085 * float(head.radii[0]), mixed(character.look.skin, (200, 70, 60), 0.3)


def _eye(f: _Layout, sign: float, character: CharacterSpec, expression: Expression) -> list[tuple[Points, Colour]]:
    look = character.look
    lon, lat, w, h = sign * f.eye_lon, f.eye_lat, f.eye_width, f.eye_height
    openness = expression.eyes_open[0 if sign > 0 else 1]
    if openness < 0.3:
        lid = _eye_ring(f, sign, _LOWER_LID) if expression.detailed else _arc(lon, lat - 0.3 * h, w, -0.25 * h)
        return [(_band(lid, 0.04), look.outline)]
    if expression.detailed:
        ring = _eye_ring(f, sign, _FINE_RING)
        rim = _grown(ring, _RIM)
    else:
        ring, rim = ellipse_patch(lon, lat, w, h), ellipse_patch(lon, lat, w + _RIM, h + _RIM)
    if look.eye_style == "dot":
        return [
            (ring, look.outline),
            (_between_lids(ellipse_patch(lon + 0.3 * w, lat + 0.35 * h, 0.34 * w, 0.34 * h, 10), f, sign), WHITE),
        ]
    x, y = lon + 0.25 * w * expression.gaze[0], lat + 0.1 * h * expression.gaze[1]
    iris_w, iris_h = 0.62 * w, min(0.66 * h, h)
    iris = (
        (ellipse_patch(x, y, iris_w, iris_h), look.eye_colour),
        (ellipse_patch(x, y, 0.58 * iris_w, 0.6 * iris_h), _PUPIL),
        (ellipse_patch(x + 0.35 * iris_w, y + 0.4 * iris_h, 0.34 * iris_w, 0.34 * iris_h, 10), WHITE),
    )
    return [(rim, look.outline), (ring, WHITE), *((_between_lids(patch, f, sign), colour) for patch, colour in iris)]


def _between_lids(patch: Points, f: _Layout, sign: float) -> Points:
    """Patch cut off by the lids of an eye that is not fully open."""
    if f.eyes_open[0 if sign > 0 else 1] == 1.0:
        return patch
    cos = np.clip((patch[:, 0] - sign * f.eye_lon) / f.eye_width, -1.0, 1.0)
    angle = np.arccos(cos)
    upper, lower = _eye_ring(f, sign, angle)[:, 1], _eye_ring(f, sign, -angle)[:, 1]
    return np.stack((patch[:, 0], np.clip(patch[:, 1], lower, upper)), axis=1)


def _mouth(f: _Layout, expression: Expression, look: Look) -> list[tuple[Points, Colour]]:
    upper, lower = _lips(f, expression, _SMOOTH, inner=True)
    lips: list[tuple[Points, Colour]] = []
    if expression.detailed:
        outer_upper, outer_lower = _lips(f, expression, _SMOOTH, inner=False)
        lips.append((np.concatenate((outer_upper, outer_lower[::-1])), mixed(look.skin, _LIPS, 0.55)))
    if expression.jaw < 0.12:
        return [*lips, (_band(upper, 0.032), look.outline)]
    ring = np.concatenate((upper, lower[::-1]))
    middle = ring.mean(axis=0)
    inside = middle + (ring - middle) * (1.0 - 0.05 / max(0.42 * expression.jaw, 0.1))
    tongue = np.concatenate(((upper[3:10] + 2.2 * lower[3:10]) / 3.2, 0.9 * lower[9:2:-1] + 0.1 * upper[9:2:-1]))
    parts = [*lips, (_grown(ring, 0.03), look.outline), (inside, _MOUTH)]
    if expression.jaw > 0.3:
        parts.append((tongue, _TONGUE))
    if expression.jaw > 0.3 or expression.detailed:
        share = 0.22 + 0.4 * expression.bite
        teeth = np.concatenate((upper[2:11] - np.array((0.0, 0.02)), (upper * (1.0 - share) + lower * share)[10:1:-1]))
        parts.append((teeth, WHITE))
    return parts


def _arc(lon: float, lat: float, width: float, rise: float) -> Points:
    s = np.linspace(-1.0, 1.0, 9)
    return np.stack((lon + s * width, lat + rise * (1.0 - s * s)), axis=1)


def _band(line: Points, half: float) -> Points:
    """Polygon of a stroke along a line, tapered at both ends."""
    taper = half * np.sqrt(1.0 - 0.85 * np.linspace(-1.0, 1.0, len(line)) ** 2)
    up = np.stack((np.zeros(len(line)), taper), axis=1)
    return np.concatenate((line + up, (line - up)[::-1]))


def _grown(ring: Points, amount: float) -> Points:
    middle = ring.mean(axis=0)
    offset = ring - middle
    length = np.sqrt((offset * offset).sum(axis=1, keepdims=True))
    return np.asarray(middle + offset * (1.0 + amount / np.maximum(length, 1e-6)))
