"""The head: skull, ears, muzzle, hair and hat."""

from __future__ import annotations

import math

import numpy as np

from models.puppets.body import Skeleton
from models.puppets.drawing import Drawing, Layer
from models.puppets.face import Face, draw_face, landmarks, nose_ball
from models.puppets.geometry import Matrix, Vector
from models.puppets.pose import Pose
from models.puppets.spec import CharacterSpec, Colour
from models.puppets.surface import Points, Surface

MUZZLED = frozenset({"bear", "dog", "fox", "mouse", "panda", "koala", "wolf", "pig", "cow"})
_ROUND_EARED = {"bear": 0.34, "mouse": 0.62, "panda": 0.36, "koala": 0.5, "monkey": 0.42}
_POINTED_EARS = {"cat": 0.55, "fox": 0.68, "wolf": 0.62, "pig": 0.42}
_LONG_EARED = {"rabbit": 1.15, "hare": 0.95}
_DARK_EARS = frozenset({"panda"})


def head_surface(character: CharacterSpec, skeleton: Skeleton) -> Surface:
    """The ellipsoid of the head; for a face on the body, of the whole body."""
    p = character.proportions
    if character.look.face_on_body:
        radii = (p.shoulder_width, 0.5 * p.torso, p.torso_depth)
    else:
        radii = (p.head_width, p.head_height, p.head_depth)
    return Surface(skeleton.head, skeleton.head_axes, radii)


def muzzle_surface(character: CharacterSpec, head: Surface) -> Surface | None:
    """The ellipsoid of the muzzle, for those that have one."""
    if character.look.species not in MUZZLED:
        return None
    w, h, d = head.radii
    reach = 1.25 if character.look.species in {"fox", "dog", "wolf"} else 1.0
    return Surface(head.point(0.0, -0.38, 0.72), head.axes, (0.5 * w, 0.36 * h, 0.42 * d * reach))


def draw_head(
    drawing: Drawing,
    character: CharacterSpec,
    skeleton: Skeleton,
    pose: Pose,
    smile: float,
    key: float,
    torso_key: float,
) -> tuple[Face, tuple[Vector, Vector]]:
    """Draw the head at painter's `key`. Returns the face's landmarks and the two ears (left, right)."""
    look = character.look
    head = head_surface(character, skeleton)
    muzzle = muzzle_surface(character, head)
    _ears(drawing, character, head, key)
    if look.hair != "none":
        _back_hair(drawing, character, head, key, torso_key)
    layer = drawing.layer(key, "head")
    nosed = muzzle is None and look.species not in {"chick", "duck", "penguin", "robot"}
    nose, nose_size, nose_colour = nose_ball(character, head)
    if nosed:
        layer.ellipsoid(nose, head.axes * nose_size, look.skin, shade=False)
        layer.sub()
    layer.ellipsoid(head.centre, head.scaled, look.skin)
    if look.face_on_body:
        _skin_marks(layer, character, head)
    _face_mask(layer, character, head)
    if muzzle is not None:
        _muzzle(layer, character, head, muzzle)
    draw_face(layer, character, pose, smile, head, muzzle)
    if nosed and nose[2] > head.centre[2] - nose_size:
        layer.ellipsoid(nose, head.axes * nose_size, nose_colour, outline=False, shade=False)
    if look.species in {"chick", "duck", "penguin"}:
        _beak(drawing, head, key, pose.mouth)
    if look.species == "robot":
        _antenna(drawing, character, head, key)
    if look.hair != "none":
        layer = drawing.layer(key + 1e-4, "hair")
        _front_hair(layer, character, head)
    if look.hat != "none":
        _hat(drawing, character, head, key)
    ears = head.point(0.98, 0.0, 0.0), head.point(-0.98, 0.0, 0.0)
    return landmarks(character, pose, smile, head, muzzle), ears


def _relative_key(head: Surface, point: Vector, key: float) -> float:
    """A key just before or behind the head's."""
    return key + math.copysign(5e-5, float(point[2] - head.centre[2])) if point is not None else key


def _ears(drawing: Drawing, character: CharacterSpec, head: Surface, key: float) -> None:
    look = character.look
    mean = float(head.radii.mean())
    for sign in (1.0, -1.0):
        side = "left" if sign > 0 else "right"
        if look.species in {"human", "elf"}:
            centre = head.point(sign * 0.98, -0.02, -0.05)
            layer = drawing.layer(_relative_key(head, centre, key), f"{side}_ear")
            layer.ellipsoid(centre, head.axes * (0.12 * mean, 0.22 * mean, 0.16 * mean), look.skin)
        elif look.species in _ROUND_EARED:
            size = _ROUND_EARED[look.species]
            out = 0.72 if size < 0.45 else 0.9
            centre = head.point(sign * out, 0.72 if look.species != "monkey" else 0.05, -0.1)
            colour = look.accent if look.species in _DARK_EARS else look.skin
            layer = drawing.layer(_relative_key(head, centre, key), f"{side}_ear")
            axes = head.axes * (size * mean, size * mean, 0.14 * mean)
            layer.ellipsoid(centre, axes, colour)
            if float(head.axes[2, 2]) > 0.1:
                layer.ellipsoid(centre + head.axes[:, 2] * 0.02, axes * 0.6, look.accent, outline=False, shade=False)
        elif look.species in _POINTED_EARS:
            size = _POINTED_EARS[look.species] * mean
            base = head.point(sign * 0.62, 0.66, 0.05)
            tip = base + head.axes @ np.array((sign * 0.45 * size, 1.25 * size, -0.1 * size))
            _pointed_ear(drawing, head, character, (side, base, tip, 0.55 * size), key)
        elif look.species in _LONG_EARED:
            size = _LONG_EARED[look.species]
            centre = head.point(sign * 0.42, 1.0 + 0.62 * size, -0.1)
            layer = drawing.layer(key - 5e-5, f"{side}_ear")
            axes = _tilted(head.axes, sign * 0.16) * (0.23 * mean, 0.82 * size * mean, 0.12 * mean)
            layer.ellipsoid(centre, axes, look.skin)
            if float(head.axes[2, 2]) > 0.1:
                layer.ellipsoid(centre, axes * (0.55, 0.75, 1.0), look.accent, outline=False, shade=False)
        elif look.species in {"dog", "cow", "sheep"}:
            centre = head.point(sign * 1.0, 0.1 if look.species == "dog" else 0.4, 0.0)
            layer = drawing.layer(_relative_key(head, centre, key + 1e-4), f"{side}_ear")
            drop = 0.5 if look.species == "dog" else 0.22
            axes = _tilted(head.axes, sign * (0.25 if drop > 0.4 else 1.2)) * (0.24 * mean, drop * mean, 0.16 * mean)
            layer.ellipsoid(centre, axes, look.accent)
        elif look.species == "frog":
            centre = head.point(sign * 0.48, 0.86, 0.2)
            layer = drawing.layer(key - 5e-5, f"{side}_ear")
            layer.ellipsoid(centre, head.axes * (0.34 * mean), look.skin)
        elif look.species == "robot":
            layer = drawing.layer(_relative_key(head, head.point(sign, 0.0, 0.0), key), f"{side}_ear")
            a, b = head.point(sign * 0.9, 0.0, 0.0), head.point(sign * 1.18, 0.0, 0.0)
            layer.capsule(a, b, 0.2 * mean, 0.16 * mean, look.accent)


def _tilted(axes: Matrix, angle: float) -> Matrix:
    c, s = math.cos(angle), math.sin(angle)
    return axes @ np.array(((c, s, 0.0), (-s, c, 0.0), (0.0, 0.0, 1.0)))


def _pointed_ear(
    drawing: Drawing,
    head: Surface,
    character: CharacterSpec,
    ear: tuple[str, Vector, Vector, float],
    key: float,
) -> None:
    side, base, tip, half = ear
    layer = drawing.layer(key - 5e-5, f"{side}_ear")
    angle = np.linspace(0.0, 2.0 * math.pi, 10, endpoint=False)
    ring = np.stack((np.cos(angle) * half, np.zeros(10), np.sin(angle) * half * 0.5), axis=1) @ head.axes.T
    crown = tip + 0.12 * ring
    layer.hull(np.concatenate((base + ring, crown)), float(base[2]), character.look.skin)
    if float(head.axes[2, 2]) > 0.2:
        inner = np.concatenate((base + 0.55 * ring, base + 0.75 * (tip - base) + 0.04 * ring))
        layer.hull(inner, float(base[2]), character.look.accent, outline=False)


def _face_mask(layer: Layer, character: CharacterSpec, head: Surface) -> None:
    """Marks of the species on the face: a pale lower face, eye patches, a robot's screen."""
    species, accent = character.look.species, character.look.accent
    if species in {"penguin", "monkey", "owl"}:
        for sign in (-1.0, 1.0):
            _surface_decal(layer, head, (sign * 0.34, 0.02, 0.46, 0.62), accent)
        _surface_decal(layer, head, (0.0, -0.4, 0.62, 0.45), accent)
    if species == "panda":
        for sign in (-1.0, 1.0):
            _surface_decal(layer, head, (sign * 0.48, 0.1, 0.32, 0.42), accent)
    if species == "robot":
        _surface_decal(layer, head, (0.0, -0.08, 0.95, 0.75), accent)
    if species in {"cat", "frog", "rabbit", "hare", "fox", "wolf"}:
        _surface_decal(layer, head, (0.0, -0.55, 0.6 if species != "frog" else 0.85, 0.4), accent)


def _skin_marks(layer: Layer, character: CharacterSpec, head: Surface) -> None:
    """Spots and seeds of fruit and blobs, where no features are."""
    species = character.look.species
    if species in {"strawberry", "blob", "monster", "cactus"}:
        size = 0.045 if species != "blob" else 0.1
        for row, lat in enumerate((-0.95, -0.7, 0.62, 0.9, 1.15)):
            for column in range(8):
                lon = (column + 0.5 * (row % 2)) * math.pi / 4.0
                _surface_decal(layer, head, (lon, lat, size / max(math.cos(lat), 0.3), 1.4 * size), character.look.accent)


def _surface_decal(layer: Layer, surface: Surface, patch: tuple[float, float, float, float], colour: Colour) -> None:
    lon, lat, width, height = patch
    if surface.facing(lon, lat) > 0.05:
        angle = np.linspace(0.0, 2.0 * math.pi, 16, endpoint=False)
        lonlat = np.stack((lon + width * np.cos(angle), lat + height * np.sin(angle)), axis=1)
        outline = surface.patch(surface.directions(lonlat))
        if outline is not None:
            layer.decal(outline, colour, convex=False)


def _muzzle(layer: Layer, character: CharacterSpec, head: Surface, muzzle: Surface) -> None:
    if float(muzzle.centre[2] - head.centre[2]) < -0.2 * float(head.radii[2]):
        return
    layer.sub()
    facing = float(head.axes[2, 2])
    layer.ellipsoid(muzzle.centre, muzzle.scaled, character.look.accent, outline=facing < 0.75, shade=facing < 0.75)
    tip = muzzle.point(0.0, 0.55, 0.8)
    size = 0.3 * float(muzzle.radii[0])
    layer.sub()
    layer.ellipsoid(tip, head.axes * (size, 0.7 * size, 0.7 * size), character.look.outline, outline=False, shade=False)


def _beak(drawing: Drawing, head: Surface, key: float, mouth: float) -> None:
    root = head.point(0.0, -0.22, 0.9)
    w, h, d = head.radii
    tip = head.point(0.0, -0.3, 1.45)
    angle = np.linspace(0.0, 2.0 * math.pi, 10, endpoint=False)
    ring = np.stack((0.34 * w * np.cos(angle), 0.14 * h * (1.0 + mouth) * np.sin(angle), 0.0 * angle), axis=1)
    points = np.concatenate((root + ring @ head.axes.T, tip + 0.25 * ring @ head.axes.T))
    layer = drawing.layer(key + 6e-5 if tip[2] > head.centre[2] - 0.3 * d else key - 6e-5, "head")
    layer.hull(points, float(root[2]), (250, 170, 50))


def _antenna(drawing: Drawing, character: CharacterSpec, head: Surface, key: float) -> None:
    layer = drawing.layer(key - 6e-5, "hat")
    mean = float(head.radii.mean())
    top = head.point(0.0, 1.5, 0.0)
    layer.capsule(head.point(0.0, 0.9, 0.0), top, 0.05 * mean, 0.04 * mean, (150, 156, 166), shade=False)
    layer.ellipsoid(top, head.axes * (0.15 * mean), character.look.hat_colour)


def _back_hair(drawing: Drawing, character: CharacterSpec, head: Surface, key: float, torso_key: float) -> None:
    look = character.look
    w, h, d = head.radii
    centre = head.point(0.0, 0.1, -0.16)
    # Hair at the back of the head hangs behind the torso of a character that faces the camera.
    back_key = torso_key - 0.015 if head.axes[2, 2] > -0.1 else key + 5e-5
    layer = drawing.layer(back_key, "hair")
    mean = float(head.radii.mean())
    if look.hair == "afro":
        layer.ellipsoid(head.point(0.0, 0.3, -0.15), head.axes * (1.45 * w, 1.3 * h, 1.35 * d), look.hair_colour)
    elif look.hair in {"long", "bob", "curly"}:
        low = {"long": -1.45, "bob": -0.75, "curly": -0.9}[look.hair]
        lock = mean * (0.42 if look.hair != "curly" else 0.5)
        for sign in (1.0, -1.0):
            layer.capsule(
                head.point(sign * 0.72, 0.2, -0.3),
                head.point(sign * 0.78, low, -0.35),
                0.5 * mean,
                lock,
                look.hair_colour,
                shade=False,
            )
        layer.capsule(centre, head.point(0.0, low, -0.4), 0.9 * mean, 0.62 * mean, look.hair_colour, shade=False)
        layer.ellipsoid(centre, head.axes * (1.1 * w, 1.06 * h, 1.1 * d), look.hair_colour)
    else:
        layer.ellipsoid(centre, head.axes * (1.07 * w, 1.04 * h, 1.08 * d), look.hair_colour)
    if look.hair == "ponytail":
        tail = drawing.layer(back_key - 1e-4 if head.axes[2, 2] > 0.0 else back_key + 1e-4, "hair")
        tail.capsule(
            head.point(0.0, 0.55, -1.05), head.point(0.0, -0.9, -1.5), 0.34 * mean, 0.2 * mean, look.hair_colour
        )
    if look.hair == "buns":
        for sign in (1.0, -1.0):
            bun = head.point(sign * 0.68, 0.95, -0.2)
            drawing.layer(key - 6e-5, "hair").ellipsoid(bun, head.axes * (0.38 * mean), look.hair_colour)
    if look.hair == "pigtails":
        for sign in (1.0, -1.0):
            root, end = head.point(sign * 1.05, 0.25, -0.2), head.point(sign * 1.4, -0.8, -0.1)
            tail = drawing.layer(_relative_key(head, root, key), "hair")
            tail.capsule(root, end, 0.24 * mean, 0.3 * mean, look.hair_colour)


def _front_hair(layer: Layer, character: CharacterSpec, head: Surface) -> None:
    """Hair over the skull: from the hairline over the top to the back."""
    look = character.look
    if look.hair == "mohawk":
        points = np.concatenate([[head.point(0.0, y, z)] for y, z in _ARC_TOP])
        ridge = np.concatenate([[head.point(0.0, y * 1.5, z * 1.3)] for y, z in _ARC_TOP])
        width = 0.14 * float(head.radii[0])
        sides = [head.axes[:, 0] * (s * width) for s in (-1.0, 1.0)]
        cloud = np.concatenate([points + side for side in sides] + [ridge + 0.5 * side for side in sides])
        layer.hull(cloud, float(head.centre[2]), look.hair_colour)
        return
    hair = Surface(head.centre, head.axes, (1.02 * head.radii[0], 1.02 * head.radii[1], 1.02 * head.radii[2]))
    lon = np.linspace(-math.pi, math.pi, 60, endpoint=False)
    line = hair.directions(np.stack((lon, _hairline(look.hair, lon)), axis=1))
    cap = hair.patch(line, inside=np.array((0.0, 1.0, 0.0)))
    if cap is not None:
        layer.polygon(cap, float(head.centre[2]), look.hair_colour, outline=False)
    shine = _lighter(look.hair_colour)
    band = np.stack((np.linspace(-0.75, 0.05, 8), np.full(8, 1.03)), axis=1)
    under = np.stack((np.linspace(0.05, -0.75, 8), np.full(8, 0.95)), axis=1)
    gleam = hair.patch(hair.directions(np.concatenate((band, under))))
    if gleam is not None and hair.facing(-0.35, 0.95) > 0.15:
        layer.decal(gleam, shine, convex=False)


_ARC_TOP = [(math.sin(a), math.cos(a)) for a in np.linspace(0.7, 2.9, 8)]


def _hairline(style: str, lon: Points) -> Points:
    """Latitude of the lower edge of the hair all around the head."""
    away = np.abs(lon)
    sides = 1.0 / (1.0 + np.exp(-(away - 1.05) * 9.0))
    behind = 1.0 / (1.0 + np.exp(-(away - 1.9) * 9.0))
    low = {"long": -0.5, "bob": -0.45, "curly": -0.4}.get(style, -0.05)
    if style in {"spiky", "curly", "buns"}:
        fringe = 0.6 + 0.14 * np.abs(((lon * 2.6) % 2.0) - 1.0)
    elif style in {"bob", "pigtails"}:
        fringe = np.full_like(lon, 0.55)
    else:
        fringe = 0.74 - 0.2 * np.tanh(2.0 * (lon + 0.3))
    front = fringe * (1.0 - sides) + low * sides
    return np.asarray(front * (1.0 - behind) - 0.75 * behind)


def _lighter(colour: Colour) -> Colour:
    return tuple(int(c + (255 - c) * 0.35) for c in colour)  # type: ignore[return-value]


def _hat(drawing: Drawing, character: CharacterSpec, head: Surface, key: float) -> None:
    look = character.look
    layer = drawing.layer(key + 2e-4, "hat")
    if look.hat == "bow":
        _bow(layer, head, look.hat_colour)
    elif look.hat == "flower":
        _flower(layer, head, look.hat_colour)
    elif look.hat == "headphones":
        _headphones(layer, head, look.hat_colour)
    elif look.hat == "leaf":
        _leaf(layer, head, look.hat_colour)
    else:
        _crowned_hat(layer, head, look.hat, look.hat_colour)


def _ring(head: Surface, height: float, share: float, count: int = 18, forward: float = 0.0) -> Points:
    """(n, 3) horizontal ring around the head at a height in half-axes."""
    angle = np.linspace(0.0, 2.0 * math.pi, count, endpoint=False)
    local = np.stack((share * np.cos(angle), np.full(count, height), share * np.sin(angle) + forward), axis=1)
    return head.centre + local @ head.scaled.T


def _crowned_hat(layer: Layer, head: Surface, kind: str, colour: Colour) -> None:
    z = float(head.centre[2])
    band = _lighter(colour)
    if kind in {"cap", "beanie", "helmet"}:
        dome = np.concatenate([_ring(head, 0.42 + 0.75 * math.sin(a), 1.04 * math.cos(a) + 0.02) for a in (0, 0.5, 1.0, 1.5)])
        if kind == "cap":
            layer.hull(np.concatenate((_ring(head, 0.40, 0.8, forward=0.62), _ring(head, 0.46, 0.8, forward=0.5))), z, band)
            layer.sub()
        layer.hull(dome, z, colour)
        if kind == "beanie":
            layer.sub()
            layer.hull(np.concatenate((_ring(head, 0.34, 1.07), _ring(head, 0.56, 1.05))), z, band)
            layer.ellipsoid(head.point(0.0, 1.22, 0.0), head.axes * (0.22 * float(head.radii.mean())), WHITE_WOOL)
    elif kind in {"top_hat", "straw", "cowboy"}:
        brim = {"top_hat": 1.3, "straw": 1.65, "cowboy": 1.6}[kind]
        tall = {"top_hat": 1.75, "straw": 1.15, "cowboy": 1.3}[kind]
        layer.hull(np.concatenate((_ring(head, 0.56, brim), _ring(head, 0.62, brim))), z, colour)
        layer.sub()
        crown = 0.88 if kind != "cowboy" else 0.7
        layer.hull(np.concatenate((_ring(head, 0.62, 0.9), _ring(head, tall, crown))), z, colour)
        layer.hull(np.concatenate((_ring(head, 0.62, 0.91), _ring(head, 0.8, 0.9))), z, shadow_band(colour), outline=False)
    elif kind in {"cone", "wizard"}:
        tip = 2.0 if kind == "cone" else 2.3
        if kind == "wizard":
            layer.hull(np.concatenate((_ring(head, 0.5, 1.45), _ring(head, 0.54, 1.45))), z, colour)
            layer.sub()
        share = 0.72 if kind == "cone" else 0.95
        low = 0.68 if kind == "cone" else 0.52
        layer.hull(np.concatenate((_ring(head, low, share), _ring(head, tip, 0.03, count=6))), z, colour)
        stripe = [_ring(head, low + (tip - low) * t, share * (1.0 - t) + 0.03 * t) for t in (0.3, 0.48)]
        layer.decal(_hull2(np.concatenate(stripe)), band)
        layer.ellipsoid(head.point(0.0, tip, 0.0), head.axes * (0.14 * float(head.radii.mean())), band)
    elif kind == "crown":
        layer.hull(np.concatenate((_ring(head, 0.62, 0.8), _ring(head, 0.92, 0.88))), z, colour)
        for index in range(7):
            a = index * 2.0 * math.pi / 7.0
            foot = [(0.86 * math.sin(a + o), 0.88, 0.86 * math.cos(a + o)) for o in (-0.35, 0.35)]
            spike = [head.point(*f) for f in (*foot, (0.92 * math.sin(a), 1.28, 0.92 * math.cos(a)))]
            layer.hull(np.stack(spike), z, colour)


WHITE_WOOL: Colour = (246, 244, 238)


def shadow_band(colour: Colour) -> Colour:
    """A darker ribbon for a hat."""
    return int(colour[0] * 0.55), int(colour[1] * 0.5), int(colour[2] * 0.55)


def _hull2(points: Points) -> Points:
    from models.puppets.drawing import convex_hull

    return convex_hull(points)


def _bow(layer: Layer, head: Surface, colour: Colour) -> None:
    middle = head.point(0.45, 0.98, 0.25)
    mean = float(head.radii.mean())
    for sign in (-1.0, 1.0):
        wing = middle + head.axes @ np.array((sign * 0.3 * mean, 0.06 * mean, 0.0))
        layer.ellipsoid(wing, _tilted(head.axes, sign * 0.3) * (0.28 * mean, 0.2 * mean, 0.1 * mean), colour)
    layer.sub()
    layer.ellipsoid(middle, head.axes * (0.11 * mean), _lighter(colour))


def _flower(layer: Layer, head: Surface, colour: Colour) -> None:
    middle = head.point(0.62, 0.72, 0.45)
    mean = float(head.radii.mean())
    for index in range(5):
        a = index * 2.0 * math.pi / 5.0
        petal = middle + head.axes @ np.array((0.17 * mean * math.cos(a), 0.17 * mean * math.sin(a), 0.0))
        layer.ellipsoid(petal, head.axes * (0.13 * mean), colour, shade=False)
    layer.sub()
    layer.ellipsoid(middle, head.axes * (0.1 * mean), (250, 206, 70), outline=False)


def _headphones(layer: Layer, head: Surface, colour: Colour) -> None:
    angle = np.linspace(0.0, math.pi, 13)
    outer = [head.point(1.16 * math.cos(a), 1.14 * math.sin(a), 0.0) for a in angle]
    inner = [head.point(1.04 * math.cos(a), 1.02 * math.sin(a), 0.0) for a in angle[::-1]]
    layer.polygon(np.stack(outer + inner), float(head.centre[2]), shadow_band(colour))
    mean = float(head.radii.mean())
    for sign in (-1.0, 1.0):
        pad = head.point(sign * 1.05, -0.02, 0.0)
        if pad[2] > head.centre[2] - 0.35 * head.radii[0]:
            layer.ellipsoid(pad, head.axes * (0.16 * mean, 0.3 * mean, 0.28 * mean), colour)


def _leaf(layer: Layer, head: Surface, colour: Colour) -> None:
    """Stalk and leaves of a fruit."""
    mean = float(head.radii.mean())
    layer.capsule(head.point(0.0, 0.93, 0.0), head.point(0.06, 1.22, 0.0), 0.05 * mean, 0.06 * mean, (120, 84, 48))
    layer.sub()
    for angle in (-1.15, 1.15, -0.4):
        centre = head.point(0.0, 1.0, 0.1) + head.axes @ np.array((0.22 * mean * math.sin(angle), 0.02 * mean, 0.0))
        layer.ellipsoid(centre, _tilted(head.axes, angle) * (0.1 * mean, 0.25 * mean, 0.1 * mean), colour)
