"""Training augmentation of frames: geometry, colour, compression, and negative samples without a character."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.perception.embedded_objects import prompt_maps
from models.perception.face_landmarks import FACE_ROOM
from models.perception.letterbox import FILL, Box
from models.perception.portrait_frames import PortraitFrames
from models.perception.puppet_frames import CHARACTER, OUTSIDE, PuppetFrames
from models.pose.skeleton import FACE, mirror_keypoints

Rng = np.random.Generator


@dataclass(frozen=True, kw_only=True, slots=True)
class FigureSample:
    """Training sample of the figure network; arrays as in `PuppetFrames`, without the leading axis."""

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    depth: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    mask_weight: float
    depth_weight: float
    """Loss weights, 0 or 1: a shuffled picture has neither a mask nor depth, a texture has no depth."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectSample:
    """Training sample of the object network: image, prompt maps (S, S, 2), labels 1 object, 0 rest, `OUTSIDE`."""

    image: NDArray[np.uint8]
    prompts: NDArray[np.float32]
    labels: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True)
class FaceSample:
    """Training sample of the face network: image (S, S, 3) and landmarks (68, 3), as in `PortraitFrames`."""

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float32]


def figure_sample(frames: PuppetFrames, index: int, rng: Rng, *, negative_share: float) -> FigureSample:
    """Randomly augmented frame, or with probability `negative_share` a picture without a character."""
    image, labels = frames.images[index], frames.labels[index]
    depth, keypoints = frames.depth[index].astype(np.float32), frames.keypoints[index]
    side = len(labels)
    mask_weight = depth_weight = 1.0
    chance = rng.random()
    if chance < negative_share / 3:
        image, labels, depth = _scenery_only(image, labels, depth, rng)
        keypoints = np.zeros_like(keypoints)
    elif chance < negative_share * 2 / 3:
        image, keypoints = _shuffled(image, rng), np.zeros_like(keypoints)
        mask_weight = depth_weight = 0.0
    elif chance < negative_share:
        image, keypoints, labels = _texture(side, rng), np.zeros_like(keypoints), np.zeros_like(labels)
        depth_weight = 0.0
    if rng.random() < 0.5:
        image, labels, depth = image[:, ::-1], labels[:, ::-1], depth[:, ::-1]
        keypoints = mirror_keypoints(keypoints, width_px=side)
    matrix = _affine(side, side, rng, turn=0.12, zoom=(0.75, 1.35), shift=0.1)
    image = cv2.warpAffine(
        np.ascontiguousarray(image), matrix, (side, side), flags=cv2.INTER_LINEAR, borderValue=(FILL, FILL, FILL)
    )
    nearest = cv2.INTER_NEAREST
    labels = cv2.warpAffine(np.ascontiguousarray(labels), matrix, (side, side), flags=nearest, borderValue=OUTSIDE)
    depth = cv2.warpAffine(np.ascontiguousarray(depth), matrix, (side, side), flags=nearest)
    return FigureSample(
        image=recoloured(image, rng),
        labels=labels,
        depth=depth,
        keypoints=_moved(keypoints, matrix, side),
        mask_weight=mask_weight,
        depth_weight=depth_weight,
    )


def object_sample(frames: PuppetFrames, index: int, rng: Rng, *, side_px: int, negative_share: float) -> ObjectSample:
    """Randomly augmented square around an object, with a prompt.

    With probability `negative_share`, the object is erased from the image and the labels but the prompt is kept.
    """
    image, labels = frames.object_images[index], frames.object_labels[index]
    if rng.random() < 0.5:
        image, labels = image[:, ::-1], labels[:, ::-1]
    matrix = _affine(len(labels), side_px, rng, turn=0.3, zoom=(1.0, 1.7), shift=0.16)
    size = (side_px, side_px)
    image = cv2.warpAffine(
        np.ascontiguousarray(image), matrix, size, flags=cv2.INTER_LINEAR, borderValue=(FILL, FILL, FILL)
    )
    labels = cv2.warpAffine(np.ascontiguousarray(labels), matrix, size, flags=cv2.INTER_NEAREST, borderValue=OUTSIDE)
    box, positive, negative = _prompt(labels == 1, rng)
    if rng.random() < negative_share:
        # Erase the object but keep its prompt.
        wiped = cv2.dilate((labels == 1).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        image = np.where(wiped[..., None], cv2.blur(np.roll(image, side_px // 2, axis=1), (5, 5)), image)
        labels = np.where(labels == 1, 0, labels)
    return ObjectSample(
        image=recoloured(_coarse(image, rng) if rng.random() < 0.3 else image, rng),
        prompts=prompt_maps(side_px, box, positive, negative),
        labels=labels,
    )


def face_sample(frames: PortraitFrames, index: int, rng: Rng, *, side_px: int, negative_share: float) -> FaceSample:
    """Randomly augmented square around a face, or with probability `negative_share` a picture without one."""
    image, keypoints = _face(frames, index, rng, side_px)
    landmarks = keypoints[FACE]
    chance = rng.random()
    if chance < negative_share:
        image = _shuffled(image, rng, num_tiles=8) if chance < negative_share / 2 else _texture(side_px, rng)
        landmarks = np.zeros_like(landmarks)
    return FaceSample(image=recoloured(_softened(image, rng), rng), landmarks=landmarks)


def _face(frames: PortraitFrames, index: int, rng: Rng, side_px: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Square around a face, as `FaceLandmarks` cuts it but moved, turned and scaled at random, and its keypoints."""
    image, keypoints = frames.images[index], frames.keypoints[index]
    if rng.random() < 0.5:
        image, keypoints = image[:, ::-1], mirror_keypoints(keypoints, width_px=image.shape[1])
    low, high = keypoints[FACE, :2].min(axis=0), keypoints[FACE, :2].max(axis=0)
    length = float((high - low).max()) * rng.uniform(0.8, 1.2)
    scale, angle = side_px / (FACE_ROOM * length), math.radians(rng.uniform(-15.0, 15.0))
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    linear = np.array([[c, -s], [s, c]])
    centre = (low + high) / 2 + rng.uniform(-0.12, 0.12, 2) * length
    matrix = np.column_stack([linear, (side_px - 1) / 2 - linear @ centre])
    square = cv2.warpAffine(
        np.ascontiguousarray(image), matrix, (side_px, side_px), flags=cv2.INTER_LINEAR, borderValue=(FILL, FILL, FILL)
    )
    return np.asarray(square, np.uint8), _moved(keypoints, matrix, side_px)


def _softened(image: NDArray[np.uint8], rng: Rng) -> NDArray[np.uint8]:
    """Half of the images blurred or coarse, like the results of small animation models."""
    chance = rng.random()
    if chance < 0.25:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.6, 3.0)), np.uint8)
    return _coarse(image, rng) if chance < 0.5 else image


def _coarse(image: NDArray[np.uint8], rng: Rng) -> NDArray[np.uint8]:
    """Image as if enlarged from a smaller one."""
    side = len(image)
    small = int(side * rng.uniform(0.25, 0.7))
    coarse = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


def _prompt(mask: NDArray[np.bool_], rng: Rng) -> tuple[Box | None, NDArray[np.float32], NDArray[np.float32]]:
    """Random prompt: a jittered box, points, or both, as users and the tracker give them."""
    side = len(mask)
    none = np.zeros((0, 2), np.float32)
    ys, xs = np.nonzero(mask)
    if len(xs) == 0:
        x, y = rng.uniform(0.3 * side, 0.7 * side, 2)
        half = rng.uniform(0.1, 0.3) * side
        return (x - half, y - half, x + half, y + half), none, none
    width, height = xs.max() + 1 - xs.min(), ys.max() + 1 - ys.min()
    jitter = np.clip(rng.normal(0.0, 0.08, 4), -0.2, 0.2) * np.array([width, height, width, height])
    x0, y0, x1, y1 = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]) + jitter
    box = (float(x0), float(y0), float(x1), float(y1))
    with_box, with_points = (True, False) if rng.random() < 0.6 else (rng.random() < 0.25, True)
    if not with_points:
        return box, none, none
    chosen = rng.integers(len(xs), size=rng.integers(1, 4))
    positive = np.stack([xs[chosen], ys[chosen]], 1).astype(np.float32)
    away_y, away_x = np.nonzero(cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) == 0)
    chosen = rng.integers(len(away_x), size=rng.integers(0, 3)) if len(away_x) else np.zeros(0, np.int64)
    return box if with_box else None, positive, np.stack([away_x[chosen], away_y[chosen]], 1).astype(np.float32)


def _affine(
    side_in: int, side_out: int, rng: Rng, *, turn: float, zoom: tuple[float, float], shift: float
) -> NDArray[np.float64]:
    """Random affine matrix (2, 3) about the image centre.

    `turn`: standard deviation of the rotation in radians. `zoom`: range of the scale. `shift`: maximum translation,
    relative to `side_out`.
    """
    angle = float(np.clip(rng.normal(0.0, turn), -3 * turn, 3 * turn))
    scale = math.exp(rng.uniform(math.log(zoom[0]), math.log(zoom[1])))
    if side_in == side_out and rng.random() < 0.3:  # some samples stay upright and are not resampled
        angle, scale = 0.0, 1.0
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    middle_in, middle_out = (side_in - 1) / 2, (side_out - 1) / 2
    dx, dy = rng.uniform(-shift, shift, 2) * side_out
    linear = np.array([[c, -s], [s, c]])
    offset = np.array([middle_out + dx, middle_out + dy]) - linear @ np.array([middle_in, middle_in])
    return np.concatenate([linear, offset[:, None]], axis=1)


def _moved(keypoints: NDArray[np.float32], matrix: NDArray[np.float64], side: int) -> NDArray[np.float32]:
    moved = keypoints.copy()
    moved[:, :2] = keypoints[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    outside = ((moved[:, :2] < -0.5) | (moved[:, :2] > side - 0.5)).any(axis=1)
    moved[outside, 2] = 0.0
    return moved


def recoloured(image: NDArray[np.uint8], rng: Rng) -> NDArray[np.uint8]:
    """Random resolution, blur, colour, noise and JPEG compression, each with its own probability."""
    side = len(image)
    if rng.random() < 0.2:
        small = int(side * rng.uniform(0.5, 0.9))
        image = cv2.resize(cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA), (side, side))
    if rng.random() < 0.2:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < 0.15:
        length = int(rng.integers(3, 8))
        kernel = np.full((1, length), 1.0 / length, np.float32)
        image = cv2.filter2D(image, -1, kernel if rng.random() < 0.5 else kernel.T)
    if rng.random() < 0.9:
        # One 3 x 3 matrix combines hue (rotation about the grey axis), saturation, brightness and colour cast.
        grey = np.full((3, 3), 1 / 3)
        mixed = grey + _turn_about_grey(rng.normal(0.0, 0.25)) @ (np.eye(3) - grey) * rng.uniform(0.4, 1.4)
        mixed = np.diag(rng.uniform(0.75, 1.25) * rng.uniform(0.9, 1.1, 3)) @ mixed
        shift = (1 - rng.uniform(0.7, 1.2)) * 127 + rng.normal(0.0, 10)
        image = cv2.transform(image, np.concatenate([mixed, np.full((3, 1), shift)], axis=1))
    if rng.random() < 0.25:
        noise = rng.standard_normal((side, side, 1), np.float32) * rng.uniform(2, 10)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 85))]
        image = np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR), np.uint8)
    return image


def _turn_about_grey(angle: float) -> NDArray[np.float64]:
    """Rotation of colours about the grey axis (Rodrigues' formula)."""
    axis = np.full(3, 1 / math.sqrt(3))
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    turn: NDArray[np.float64] = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
    return turn


def _scenery_only(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], depth: NDArray[np.float32], rng: Rng
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]]:
    """Frame with the character inpainted by shifted copies of the scenery."""
    side = len(labels)
    hidden = cv2.dilate((labels == CHARACTER).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    image, labels, depth = image.copy(), labels.copy(), depth.copy()
    for shift in rng.permutation([side // 4, side // 3, side // 2, 2 * side // 3, 3 * side // 4]):
        invalid = np.roll(hidden | (labels == OUTSIDE), shift, axis=1)
        paint = hidden & ~invalid
        image[paint], labels[paint] = np.roll(image, shift, axis=1)[paint], np.roll(labels, shift, axis=1)[paint]
        depth[paint] = np.roll(depth, shift, axis=1)[paint]
        hidden &= ~paint
    if hidden.any():
        image[hidden] = cv2.blur(image, (31, 31))[hidden]
        labels[hidden] = OUTSIDE
    return image, labels, depth


def _shuffled(image: NDArray[np.uint8], rng: Rng, *, num_tiles: int = 6) -> NDArray[np.uint8]:
    """Frame with its `num_tiles` x `num_tiles` tiles in random order, which keeps the colours but not the shape."""
    n = num_tiles
    tile = len(image) // n
    tiles = image.reshape(n, tile, n, tile, 3).transpose(0, 2, 1, 3, 4).reshape(n * n, tile, tile, 3)
    mixed = tiles[rng.permutation(n * n)].reshape(n, n, tile, tile, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(mixed.reshape(image.shape))


def _texture(side: int, rng: Rng) -> NDArray[np.uint8]:
    """Coloured noise with the spectrum of photographs (amplitude about 1 / f) and random ellipses over it."""
    picture = np.zeros((side, side, 3), np.float32)
    cells = 2
    while cells <= side:
        noise = rng.standard_normal((cells, cells, 3), np.float32)
        picture += cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC) / cells ** rng.uniform(0.4, 0.9)
        cells *= 2
    colours = np.eye(3) * 0.4 + rng.uniform(0, 0.5, (3, 3))
    picture = picture @ colours.astype(np.float32)
    image = np.clip(picture / (picture.std() + 1e-6) * rng.uniform(20, 60) + rng.uniform(60, 190), 0, 255)
    image = np.ascontiguousarray(image.astype(np.uint8))
    for _ in range(rng.integers(0, 8)):
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        centre = tuple(int(value) for value in rng.integers(0, side, 2))
        axes = tuple(int(value) for value in rng.integers(side // 20, side // 3, 2))
        cv2.ellipse(image, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    return image
