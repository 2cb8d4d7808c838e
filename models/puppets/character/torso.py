"""Drawing of the torso, a stack of elliptic sections, with clothes, patterns and markings."""

from __future__ import annotations

import math

import numpy as np

from models.puppets.character.body import Skeleton
from models.puppets.drawing.colours import mixed, scaled
from models.puppets.drawing.geometry import vector
from models.puppets.drawing.layers import Drawing, Layer
from models.puppets.drawing.surface import Points
from models.puppets.spec import CharacterSpec, Colour


class Trunk:
    """Torso surface. Heights range from 0 at the pelvis to 1 between the shoulders."""

    def __init__(self, character: CharacterSpec, skeleton: Skeleton) -> None:
        p = character.proportions
        self.character = character
        self.skeleton = skeleton
        top = p.shoulder_width + 0.25 * p.arm_radius
        self.heights = np.array((-0.16, 0.0, 0.18, 0.45, 0.72, 0.88, 0.98, 1.05, 1.08))
        wide = (0.94 * p.hip_width, p.hip_width, 0.98 * p.hip_width, p.waist_width, 0.5 * (p.waist_width + top),
                0.98 * top, 0.9 * top, 0.6 * top, 0.36 * top)  # fmt: skip
        deep = np.array((0.9, 1.0, 1.0, 0.95, 1.0, 0.95, 0.8, 0.55, 0.35)) * p.torso_depth
        self.wide, self.deep = np.array(wide), deep
        self.bottom_axes, self.top_axes = skeleton.pelvis_axes, skeleton.torso_axes
        spine = skeleton.chest - skeleton.pelvis
        self.spine = spine
        flat = spine[:2] / max(math.hypot(float(spine[0]), float(spine[1])), 1e-6)
        self.across = np.array((flat[1], -flat[0]))  # to the image's right of an upright body

    def half_width(self, heights: Points) -> Points:
        """Half-width of the silhouette at heights (n,)."""
        share = np.clip(heights, 0.0, 1.0)
        wide, deep = np.interp(heights, self.heights, self.wide), np.interp(heights, self.heights, self.deep)
        right = (1.0 - share) * self.bottom_axes[0, 0] + share * self.top_axes[0, 0]
        front = (1.0 - share) * self.bottom_axes[0, 2] + share * self.top_axes[0, 2]
        return np.asarray(np.sqrt((wide * right) ** 2 + (deep * front) ** 2))

    def band(self, low: float, high: float) -> Points:
        """Outline (n, 2) of the torso between two heights."""
        inner = self.heights[(self.heights > low) & (self.heights < high)]
        heights = np.concatenate(((low,), inner, (high,)))
        centre = self.skeleton.pelvis[:2] + heights[:, None] * self.spine[:2]
        half = self.half_width(heights)[:, None] * self.across
        return np.concatenate((centre + half, (centre - half)[::-1]))

    def spot(self, height: float, angle: float, width: float, tall: float) -> Points | None:
        """Outline (n, 2) of a patch at a height and an angle about the spine (0: front); None on the far side."""
        axes = self.top_axes if height > 0.4 else self.bottom_axes
        around = angle + width * _SPOT_COS
        up = height + tall * _SPOT_SIN
        wide, deep = np.interp(height, self.heights, self.wide), np.interp(height, self.heights, self.deep)
        points = np.stack((wide * np.sin(around), np.zeros(12), deep * np.cos(around)), axis=1) @ axes.T
        normal = vector(math.sin(angle) / wide, 0.0, math.cos(angle) / deep)
        if float(axes[2] @ normal) * deep < 0.12:
            return None
        return np.asarray(self.skeleton.pelvis[:2] + up[:, None] * self.spine[:2] + points[:, :2])


_SPOT_COS = np.cos(np.linspace(0.0, 2.0 * math.pi, 12, endpoint=False))
_SPOT_SIN = np.sin(np.linspace(0.0, 2.0 * math.pi, 12, endpoint=False))


def draw_torso(drawing: Drawing, trunk: Trunk, key: float) -> None:
    """Draw the neck, the torso and its clothes."""
    character, skeleton = trunk.character, trunk.skeleton
    p, look = character.proportions, character.look
    if p.neck > 0.0:
        neck = drawing.layer(key - 1e-3, "torso")
        radius = 0.5 * p.head_width * 0.8
        neck.capsule(skeleton.chest, skeleton.head, radius, radius, look.skin, shade=False)
    if look.bottom == "skirt" or look.top == "dress":
        _skirt(drawing, trunk, key + 1e-3, look.bottom_colour if look.bottom == "skirt" else look.top_colour)
    layer = drawing.layer(key, "torso")
    clothed = look.top != "bare"
    colour = look.top_colour if clothed else look.skin
    if skeleton.legs is None:
        seat = skeleton.pelvis - skeleton.pelvis_axes[:, 1] * (0.12 * p.torso)
        layer.ellipsoid(seat, skeleton.pelvis_axes * (0.95 * p.hip_width, 0.24 * p.torso, 0.9 * p.torso_depth), colour)
    layer.polygon(trunk.band(-0.16, 1.08), (skeleton.pelvis, skeleton.chest), colour)
    if clothed:
        _pattern(layer, trunk)
    else:
        belly = trunk.spot(0.47, 0.0, 0.85, 0.36)
        if belly is not None:
            layer.decal(belly, look.accent)
        if look.species == "robot":
            for index, light in enumerate(((236, 90, 80), (250, 200, 70), (110, 200, 110))):
                button = trunk.spot(0.62, -0.45 + 0.45 * index, 0.16, 0.07)
                if button is not None:
                    layer.decal(button, light)
    if look.top in {"sleeveless", "shirt", "long_sleeves", "coat"}:
        _collar(layer, trunk, look.top)
    _shade(layer, trunk, drawing)


def _shade(layer: Layer, trunk: Trunk, drawing: Drawing) -> None:
    side = float(trunk.across @ drawing.dark_side)
    heights = trunk.heights[1:-1]
    centre = trunk.skeleton.pelvis[:2] + heights[:, None] * trunk.spine[:2]
    half = trunk.half_width(heights)[:, None] * trunk.across * math.copysign(1.0, side)
    strip = np.concatenate((centre + 0.99 * half, (centre + half * (1.0 - 0.55 * abs(side)))[::-1]))
    layer.shade(strip)


def _pattern(layer: Layer, trunk: Trunk) -> None:
    look = trunk.character.look
    kind, second = look.top_pattern, look.top_second
    if kind in {"stripes", "checks"}:
        for low in np.arange(-0.1, 0.9, 0.28):
            layer.decal(trunk.band(float(low), float(low) + 0.13), second, convex=False)
    if kind == "checks":
        between = mixed(look.top_colour, second, 0.45)
        for row, low in enumerate(np.arange(-0.1, 0.9, 0.14)):
            for column in range(8):
                if (row + column) % 2 == 0:
                    spot = trunk.spot(float(low) + 0.07, column * math.pi / 4.0, 0.28, 0.07)
                    if spot is not None:
                        layer.decal(spot, between)
    elif kind == "dots":
        for row, height in enumerate((0.0, 0.22, 0.44, 0.66, 0.86)):
            for column in range(9):
                spot = trunk.spot(height, (column + 0.5 * (row % 2)) * 2.0 * math.pi / 9.0, 0.16, 0.05)
                if spot is not None:
                    layer.decal(spot, second)
    elif kind == "badge":
        for width, colour in ((0.5, second), (0.28, look.top_colour)):
            spot = trunk.spot(0.62, 0.0, width, width * 0.36)
            if spot is not None:
                layer.decal(spot, colour)
    elif kind == "band":
        layer.decal(trunk.band(0.42, 0.66), second, convex=False)
    elif kind == "buttons":
        for height in (0.15, 0.38, 0.61, 0.84):
            spot = trunk.spot(height, 0.0, 0.11, 0.032)
            if spot is not None:
                layer.decal(spot, second)


def _collar(layer: Layer, trunk: Trunk, top: str) -> None:
    look = trunk.character.look
    spot = trunk.spot(1.02, 0.0, 0.9, 0.1 if top != "sleeveless" else 0.16)
    if spot is not None:
        layer.decal(spot, look.skin if top != "coat" else look.top_second)


def _skirt(drawing: Drawing, trunk: Trunk, key: float, colour: Colour) -> None:
    skeleton, p = trunk.skeleton, trunk.character.proportions
    length = 0.62 * p.thigh
    heights = np.array((0.32, 0.1, 0.0))
    centre = skeleton.pelvis[:2] + heights[:, None] * trunk.spine[:2]
    half = trunk.half_width(heights)[:, None] * trunk.across * np.array((1.02, 1.1, 1.2))[:, None]
    down = skeleton.pelvis - skeleton.pelvis_axes[:, 1] * length
    wide = 1.65 * float(trunk.half_width(np.array((0.0,)))[0])
    left, right = down[0] - wide, down[0] + wide
    low = float(down[1])
    if skeleton.legs is not None:
        knees = [leg.hip + (leg.knee - leg.hip) * 0.6 for leg in skeleton.legs]
        left = min(left, *(float(knee[0]) - p.leg_radius * 1.25 for knee in knees))
        right = max(right, *(float(knee[0]) + p.leg_radius * 1.25 for knee in knees))
    s = np.linspace(-1.0, 1.0, 9)
    hem = np.stack(
        (left + (right - left) * 0.5 * (s + 1.0), low - 0.035 * (1.0 - s * s) + 0.008 * np.cos(s * 12.0)), axis=1
    )
    layer = drawing.layer(key, "torso")
    outline = np.concatenate((centre - half, hem, (centre + half)[::-1]))
    layer.polygon(outline, (skeleton.pelvis, skeleton.pelvis), colour)
    second = trunk.character.look.top_second
    layer.decal(np.concatenate((hem, (hem + np.array((0.0, 0.028)))[::-1])), second, convex=False)
    fold = scaled(colour, 0.8)
    for share in (-0.45, 0.0, 0.45):
        top = centre[-1] + half[-1] * share
        foot = np.array((0.5 * (left + right) + share * 0.5 * (right - left), low - 0.02))
        aside = np.array((0.009, 0.0))
        layer.decal(np.stack((top, foot + aside, foot - aside)), fold)
