"""Stage that reads the reference picture."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from PIL import Image, ImageOps

from models.video.container import MediaLimits
from stages.base import Row, Stage
from stages.io.picture import Colour, read_picture
from stages.io.source import DEFAULT_SCHEMES, SourceFiles
from stages.outcome import BadRow, Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class ReferenceConfig:
    """Settings for reference pictures.

    Args:
        background_rgb: background of transparent pixels and colour of padding.
        fit: how a picture with another aspect ratio than the output is fitted: `crop` to its centre, or `pad`. Does not
            apply to models that keep the scene, which take the character alone.
        max_pixels, max_bytes: limits of the file.
        max_side_px: maximum side of the canvas.
        allowed_schemes: schemes of URIs that may be opened.
    """

    background_rgb: Colour = (255, 255, 255)
    fit: Literal["crop", "pad"] = "crop"
    max_pixels: int = field(default=100_000_000, metadata={"in_key": False})
    max_bytes: int = field(default=256 * 2**20, metadata={"in_key": False})
    max_side_px: int = field(default=2048, metadata={"in_key": False})
    allowed_schemes: tuple[str, ...] = field(default=DEFAULT_SCHEMES, metadata={"in_key": False})

    def __post_init__(self) -> None:
        if self.fit not in ("crop", "pad"):
            raise ValueError(f"unknown fit '{self.fit}', expected 'crop' or 'pad'")
        if any(not 0 <= value <= 255 for value in self.background_rgb):
            raise ValueError(f"background_rgb needs three values from 0 to 255, got {self.background_rgb}")


class ReferenceStage(Stage[ReferenceConfig]):
    """Reads `reference_picture`, (H, W, 3) uint8 RGB, and determines the canvas: the size that the network works at.

    A side that the request leaves empty follows from an aspect ratio: the picture's or, for a model that keeps the
    scene, the driving video's. If both are empty, the shorter is the model's `short_side_px`. Derived sides are
    multiples of the model's `size_multiple`. The picture has the canvas's size; for a model that keeps the scene its
    own, but no side above `max_side_px`.
    """

    name = "reference"
    version = 2  # colour profiles; 16-bit grey by its type
    reads: ClassVar[frozenset[str]] = frozenset(
        {"reference_uri", "driving_part", "model", "model_spec", "width_px", "height_px"}
    )
    writes: ClassVar[frozenset[str]] = frozenset(
        {"reference_picture", "reference_fingerprint", "canvas_width_px", "canvas_height_px"}
    )
    transient: ClassVar[frozenset[str]] = frozenset({"reference_picture"})

    def open(self) -> None:
        """Create the cache of source files."""
        limits = MediaLimits(max_bytes=self.config.max_bytes)
        self.sources = SourceFiles(self.config.allowed_schemes, limits=limits, max_files=16)

    def process(self, row: Row) -> Row:
        """`reference_picture`, its fingerprint, and the canvas's size."""
        config, uri = self.config, row["reference_uri"]
        source = self.sources.open(uri)
        if source.size_bytes > config.max_bytes:
            text = f"{uri} has {source.size_bytes} bytes, {config.max_bytes} are allowed"
            raise BadRow(Reason.TOO_LARGE, text)
        picture = read_picture(
            source.path, shown=uri, max_pixels=config.max_pixels, background_rgb=config.background_rgb
        )
        keeps_scene, part = row["model_spec"]["keeps_scene"], row["driving_part"]
        size = self._canvas_size(row, (part["width_px"], part["height_px"]) if keeps_scene else picture.size)
        if keeps_scene:
            picture.thumbnail((config.max_side_px, config.max_side_px), Image.Resampling.LANCZOS)
        elif config.fit == "crop":
            picture = ImageOps.fit(picture, size, Image.Resampling.LANCZOS)
        else:
            picture = ImageOps.pad(picture, size, Image.Resampling.LANCZOS, color=config.background_rgb)
        with Path(source.path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {
            "reference_picture": np.asarray(picture, dtype=np.uint8),
            "reference_fingerprint": f"sha256:{digest}",
            "canvas_width_px": size[0],
            "canvas_height_px": size[1],
        }

    def close(self) -> None:
        """Delete fetched files."""
        self.sources.close()

    def _canvas_size(self, row: Row, shape: tuple[int, int]) -> tuple[int, int]:
        spec = row["model_spec"]
        requested = (row["width_px"], row["height_px"])
        scales = [side / of_shape for side, of_shape in zip(requested, shape, strict=True) if side is not None]
        scale = scales[0] if scales else spec["short_side_px"] / min(shape)
        multiple = spec["size_multiple"]
        width, height = (
            side if side is not None else max(1, round(of_shape * scale / multiple)) * multiple
            for side, of_shape in zip(requested, shape, strict=True)
        )
        if max(width, height) > self.config.max_side_px:
            text = f"the output would be {width} x {height} pixels, {self.config.max_side_px} a side are allowed"
            raise BadRow(Reason.TOO_LARGE, f"{text}; ask for a width_px and height_px")
        return width, height
