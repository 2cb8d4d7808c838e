"""Contact sheets: sample frames of a clip beside the signals extracted from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.depth.structured import decode_depth
from models.masks import rle
from models.pose.overlay import draw_skeleton
from models.pose.skeleton import scale_keypoints

Image = NDArray[np.uint8]

THUMBNAIL_PIXELS = 60_000
"""Area of a thumbnail, in pixels. Its aspect ratio is that of the frame."""
GAP_PX = 6
_WEBP_QUALITY = 82
_CHARACTER = (32, 201, 151)
_OBJECTS = ((255, 176, 46), (187, 134, 252), (255, 105, 160), (77, 171, 247))
_NEUTRAL = (122, 127, 138)


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One signal over the sample frames: a column of thumbnails with transparent gaps, as WebP."""

    label: str
    webp: bytes
    width_px: int
    height_px: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Legend:
    """Colour of a layer in the panels, and its label."""

    label: str
    colour: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ContactSheet:
    """Contact sheet of one clip."""

    clip_id: str
    uri: str
    status: str
    reason: str
    facts: tuple[tuple[str, str], ...]
    panels: tuple[Panel, ...]
    legend: tuple[Legend, ...]
    landscape: bool


def frames_to_show(num_frames: int, count: int) -> list[int]:
    """Indices of `count` frames (all if there are fewer), each in the middle of one of `count` equal parts."""
    count = min(count, num_frames)
    return [(2 * i + 1) * num_frames // (2 * count) for i in range(count)]


def contact_sheet(row: Mapping[str, Any], frames: Image, indices: Sequence[int]) -> ContactSheet:
    """Contact sheet of one prepared row. Signals that the row lacks are omitted.

    Args:
        row: columns of `prepared`; arrays may be numpy or nested lists.
        frames: (K, H, W, 3) RGB at the working size: the frames at `indices`.
        indices: indices of `frames` within the clip.

    Raises:
        ValueError: the number or size of the frames does not fit the row.
    """
    if frames.ndim != 4 or len(frames) != len(indices) or len(indices) == 0:
        raise ValueError(f"expected one (H, W, 3) frame per index, got {frames.shape} for {len(indices)} indices")
    height, width = frames.shape[1:3]
    panels = [panel("Frame", [thumbnail(frame) for frame in frames])]
    legend: list[Legend] = []

    if row.get("keypoints") is not None:
        keypoints = np.asarray([row["keypoints"][i] for i in indices], np.float32)
        panels.append(panel("Skeleton", [_skeleton(*pair) for pair in zip(frames, keypoints, strict=True)]))
    if row.get("depth_png") is not None:
        pngs = [row["depth_png"][i] for i in indices]
        depth = decode_depth(pngs, minimum=row["depth_min"], maximum=row["depth_max"])
        _check_size(depth.shape[1:], (height, width), "depth_png")
        colours = _depth_colours(depth)
        pictures = [_depth(*layers) for layers in zip(frames, depth, colours, strict=True)]
        panels.append(panel("Structured depth", pictures))
    if row.get("character_mask") is not None:
        layers = [("character", _CHARACTER, _masks(row["character_mask"], indices, (height, width)))]
        for number, entry in enumerate(row.get("object_masks") or []):
            colour = _OBJECTS[number % len(_OBJECTS)]
            layers.append((str(entry["object_id"]), colour, _masks(entry["masks"], indices, (height, width))))
        legend += [Legend(label=name, colour="#{:02x}{:02x}{:02x}".format(*colour)) for name, colour, _ in layers]
        pictures = [_tinted(f, [(colour, masks[k]) for _, colour, masks in layers]) for k, f in enumerate(frames)]
        panels.append(panel("Masks", pictures))
    if row.get("agnostic_mask") is not None:
        masks = _masks(row["agnostic_mask"], indices, (height, width))
        panels.append(panel("Shape-agnostic", [_hidden(*pair) for pair in zip(frames, masks, strict=True)]))
    return ContactSheet(
        clip_id=str(row["clip_id"]),
        uri=str(row.get("uri") or ""),
        status=str(row["status"]),
        reason=str(row.get("reason") or ""),
        facts=_facts(row, indices, width, height),
        panels=tuple(panels),
        legend=tuple(legend),
        landscape=width > 1.1 * height,
    )


def _facts(row: Mapping[str, Any], indices: Sequence[int], width: int, height: int) -> tuple[tuple[str, str], ...]:
    facts = [("working size", f"{width} × {height}")]
    if row.get("num_frames") is not None:
        facts.append(("frames", str(row["num_frames"])))
    if row.get("frame_seconds") is not None:
        facts.append(("shown at", ", ".join(f"{row['frame_seconds'][i]:.2f}" for i in indices) + " s"))
    if row.get("num_people") is not None and len(row["num_people"]):
        low, high = min(row["num_people"]), max(row["num_people"])
        facts.append(("persons", str(high) if low == high else f"{low} to {high}"))
    for column, label, digits in (
        ("pose_confidence", "pose confidence", 2),
        ("keypoints_inside_mask", "inside mask", 2),
        ("motion_magnitude", "motion", 2),
        ("sharpness", "sharpness", 0),
    ):
        if row.get(column) is not None:
            facts.append((label, f"{row[column]:.{digits}f}"))
    return tuple(facts)


def _masks(codes: Sequence[Mapping[str, Any]], indices: Sequence[int], size: tuple[int, int]) -> NDArray[np.bool_]:
    masks = rle.decode([codes[i] for i in indices])
    _check_size(masks.shape[1:], size, "a mask")
    return masks


def _check_size(got: tuple[int, ...], size: tuple[int, int], label: str) -> None:
    if got != size:
        raise ValueError(f"{label} is {got[1]} x {got[0]} pixels, but the frames are {size[1]} x {size[0]}")


def thumbnail(image: Image) -> Image:
    """Resize an image to `THUMBNAIL_PIXELS`, up or down."""
    scale = float(np.sqrt(THUMBNAIL_PIXELS / (image.shape[0] * image.shape[1])))
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small: Image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return small


def _skeleton(frame: Image, keypoints: NDArray[np.float32]) -> Image:
    # Drawn on the thumbnail, to keep lines sharp.
    picture = thumbnail(frame)
    scaled = scale_keypoints(keypoints, frame.shape[:2], picture.shape[:2])
    return draw_skeleton(cv2.convertScaleAbs(picture, alpha=0.85), scaled)


def _depth_colours(depth: NDArray[np.float32]) -> Image:
    """Map depth (K, H, W) to colours (K, H, W, 3): near in red, far in blue.

    The scale spans the percentiles 1 to 95: lines wider than their limb contain depth of the background.
    """
    near, far = np.nanpercentile(depth, (1, 95)) if not np.isnan(depth).all() else (0.0, 1.0)
    farness = np.nan_to_num((depth - near) / ((far - near) or 1.0))
    values = (255 * (0.93 - 0.83 * farness.clip(0, 1))).astype(np.uint8)
    colours: Image = cv2.applyColorMap(values.reshape(len(values), -1), cv2.COLORMAP_TURBO)[..., ::-1]
    return colours.reshape(*depth.shape, 3)


def _depth(frame: Image, depth: NDArray[np.float32], colours: Image) -> Image:
    grey = cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return thumbnail(np.where(np.isnan(depth)[..., None], (0.35 * grey).astype(np.uint8), colours))


def _tinted(frame: Image, layers: Sequence[tuple[tuple[int, int, int], NDArray[np.bool_]]]) -> Image:
    picture = thumbnail(frame)
    for colour, mask in layers:
        inside = thumbnail(mask.astype(np.uint8) * 255)[..., None].clip(0, 255) / 255
        picture = (picture + 0.45 * inside * (np.array(colour) - picture)).astype(np.uint8)
        _outline(picture, inside, colour)
    return picture


def _hidden(frame: Image, mask: NDArray[np.bool_]) -> Image:
    """Frame with the masked area replaced by grey: the environment that a model receives."""
    inside = thumbnail(mask.astype(np.uint8) * 255)[..., None].clip(0, 255) / 255
    picture: Image = (thumbnail(frame) * (1 - inside) + np.array(_NEUTRAL) * inside).astype(np.uint8)
    _outline(picture, inside, (240, 240, 240))
    return picture


def _outline(picture: Image, inside: NDArray[np.float64], colour: tuple[int, int, int]) -> None:
    contours, _ = cv2.findContours((inside[..., 0] > 0.5).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, contours, -1, colour, 1, cv2.LINE_AA)


def panel(label: str, pictures: Sequence[Image]) -> Panel:
    """Column of pictures, uint8 (H, W, 3) RGB, all of one size."""
    height, width = pictures[0].shape[:2]
    total = len(pictures) * (height + GAP_PX) - GAP_PX
    column = np.zeros((total, width, 4), np.uint8)
    for number, picture in enumerate(pictures):
        top = number * (height + GAP_PX)
        column[top : top + height, :, :3] = picture[..., ::-1]
        column[top : top + height, :, 3] = 255
    ok, data = cv2.imencode(".webp", column, [cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY])
    if not ok:
        raise ValueError(f"OpenCV could not code a contact sheet of {width} x {total} pixels as WebP")
    return Panel(label=label, webp=data.tobytes(), width_px=width, height_px=total)
