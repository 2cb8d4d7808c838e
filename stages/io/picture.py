"""Reading of picture files as upright RGB in the colour space sRGB."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from models.common.jpeg import jpeg_damage
from models.video.container import MediaLimits, check_regular_file
from models.video.errors import MediaError
from stages.outcome import BadRow, Reason

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "HEIF")
"""Supported formats. Others are disabled to reduce the attack surface of PIL."""
SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".heic", ".heif", ".hif"}
)

Colour = tuple[int, int, int]

_MODE_OF_PROFILE = {"RGB": "RGB", "GRAY": "L"}
"""PIL's mode for the colour model of a profile."""

_UNIT_TOLERANCE = 1e-3

pillow_heif.register_heif_opener()


def read_picture(path: str, *, shown: str, max_pixels: int, background_rgb: Colour) -> Image.Image:
    """Read a picture file as mode RGB.

    Applies the EXIF orientation, converts an embedded colour profile to sRGB (a damaged one is ignored, as browsers
    do), composites transparency onto `background_rgb`, scales 16-bit and float values to 8 bits by their type, and
    takes the first frame of an animation.

    Args:
        path: a local file.
        shown: name of the file in messages.
        max_pixels: maximum of width x height, checked before decoding.
        background_rgb: background of transparent pixels, 0 to 255.

    Raises:
        BadRow: NotFound, UnreadableSource, NotAnImage, or TooLarge.
    """
    _check_file(path, shown)
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
                if picture.format in ("JPEG", "MPO") and (damage := jpeg_damage(Path(path).read_bytes())):
                    raise BadRow(Reason.NOT_AN_IMAGE, f"{shown} is damaged: pieces of the picture are lost ({damage})")
                return _to_rgb(ImageOps.exif_transpose(picture), shown, background_rgb)
    except UnidentifiedImageError as error:
        expected = ", ".join(FORMATS)
        raise BadRow(
            Reason.NOT_AN_IMAGE, f"{shown} is no picture that can be read ({_size(path)}); expected {expected}"
        ) from error
    except Image.DecompressionBombError as error:
        raise BadRow(Reason.TOO_LARGE, f"{shown}: {str(error)[:300]}; {max_pixels} in all are allowed") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        # PIL's readers raise all of these for damaged files.
        raise BadRow(Reason.NOT_AN_IMAGE, f"{shown} is damaged: {str(error).replace(path, shown)[:300]}") from error


def _check_file(path: str, shown: str) -> None:
    """Refuse what is not a regular file without opening it: a FIFO would block, a device never end."""
    try:
        check_regular_file(path, MediaLimits())
    except MediaError as error:
        reason = Reason.NOT_AN_IMAGE if error.reason == "NotAVideo" else Reason(error.reason)
        raise BadRow(reason, error.message.replace(path, shown)) from error


def _to_rgb(picture: Image.Image, shown: str, background_rgb: Colour) -> Image.Image:
    if picture.mode.startswith(("I", "F")):
        picture = _to_8_bits(picture, shown)
    picture = _to_srgb(picture)
    if picture.has_transparency_data:
        opaque = Image.new("RGBA", picture.size, (*background_rgb, 255))
        return Image.alpha_composite(opaque, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")


def _to_srgb(picture: Image.Image) -> Image.Image:
    """Convert from the embedded colour profile, if there is one, to sRGB."""
    data = picture.info.get("icc_profile")
    if not data:
        return picture
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        alpha = None
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            alpha = picture.getchannel("A")
        model = _MODE_OF_PROFILE.get(profile.profile.xcolor_space.strip(), "")
        converted = ImageCms.profileToProfile(
            picture.convert(model) if model else picture,
            profile,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture  # a damaged profile
    if converted is None:
        return picture
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def _to_8_bits(picture: Image.Image, shown: str) -> Image.Image:
    """Scale 16-bit or float grey to 8 bits by its type; PIL's conversion would clip at 255.

    Raises:
        BadRow: NotAnImage for 32-bit integers, or floats outside 0 to 1, whose white is not defined.
    """
    values = np.asarray(picture, dtype=np.float64)
    if picture.mode.startswith("I;16"):
        values = values / 257.0
    elif picture.mode == "F" and values.min() >= -_UNIT_TOLERANCE and values.max() <= 1.0 + _UNIT_TOLERANCE:
        values = values * 255.0
    else:
        kind = "float" if picture.mode == "F" else "32-bit integer"
        text = f"{shown} has {kind} values from {values.min():g} to {values.max():g}"
        raise BadRow(Reason.NOT_AN_IMAGE, f"{text}; expected 8 or 16 bits, or floats from 0 to 1")
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def _size(path: str) -> str:
    return f"{Path(path).stat().st_size} bytes"
