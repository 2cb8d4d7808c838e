"""Reading of picture files as upright RGB."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from stages.outcome import BadRow, Reason

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
"""Supported formats. Others are disabled to reduce the attack surface of PIL."""
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"})

Colour = tuple[int, int, int]


def read_picture(path: str, *, shown: str, max_pixels: int, background_rgb: Colour) -> Image.Image:
    """Read a picture file as mode RGB.

    Applies the EXIF orientation, composites transparency onto `background_rgb`, scales 16-bit and float values to 8
    bits, and takes the first frame of an animation.

    Args:
        path: a local file.
        shown: name of the file in messages.
        max_pixels: maximum of width x height, checked before decoding.
        background_rgb: background of transparent pixels, 0 to 255.

    Raises:
        BadRow: NotAnImage, or TooLarge.
    """
    try:
        with warnings.catch_warnings():
            # `max_pixels` replaces PIL's size warning; its other warnings (metadata) do not affect pixels.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as picture:
                width, height = picture.size
                if width * height > max_pixels:
                    size = f"{shown} has {width} x {height} pixels"
                    raise BadRow(Reason.TOO_LARGE, f"{size}, {max_pixels} in all are allowed")
                picture.load()
                return _to_rgb(ImageOps.exif_transpose(picture), background_rgb)
    except UnidentifiedImageError as error:
        expected = ", ".join(FORMATS)
        raise BadRow(
            Reason.NOT_AN_IMAGE, f"{shown} is no picture that can be read ({_size(path)}); expected {expected}"
        ) from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        # PIL's readers raise all of these for damaged files.
        raise BadRow(Reason.NOT_AN_IMAGE, f"{shown} is damaged: {str(error).replace(path, shown)[:300]}") from error


def _to_rgb(picture: Image.Image, background_rgb: Colour) -> Image.Image:
    if picture.mode.startswith(("I", "F")):
        picture = _to_8_bits(picture)
    if picture.has_transparency_data:
        opaque = Image.new("RGBA", picture.size, (*background_rgb, 255))
        return Image.alpha_composite(opaque, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")


def _to_8_bits(picture: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit or float grey to 8 bits; PIL's conversion would clip at 255."""
    values = np.nan_to_num(np.asarray(picture, dtype=np.float64))
    if values.max(initial=0.0) <= 1.0 and picture.mode == "F":
        values = values * 255.0
    elif values.max(initial=0.0) > 255.0:
        values = values / 257.0
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def _size(path: str) -> str:
    return f"{Path(path).stat().st_size} bytes"
