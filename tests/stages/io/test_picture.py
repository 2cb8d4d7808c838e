from __future__ import annotations

import os
import socket
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from stages.io.picture import read_picture
from stages.outcome import BadRow


def read(path: Path, max_pixels: int = 10_000) -> np.ndarray:
    picture = read_picture(str(path), shown="it", max_pixels=max_pixels, background_rgb=(10, 20, 30))
    assert picture.mode == "RGB"
    return np.asarray(picture)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tiff", "gif", "avif", "heic"])
def test_pictures_of_every_format(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (12, 8), (200, 100, 50)).save(tmp_path / f"a.{suffix}")
    picture_rgb = read(tmp_path / f"a.{suffix}")
    assert picture_rgb.shape == (8, 12, 3)
    assert np.abs(picture_rgb.astype(int) - (200, 100, 50)).max() < 8


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff", "avif", "heic"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_becomes_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    """Each corner of the result has the colour that the EXIF standard puts there."""
    stored_rgb = np.zeros((32, 48, 3), np.uint8)
    stored_rgb[:16, :24], stored_rgb[:16, 24:] = (200, 30, 30), (30, 170, 60)
    stored_rgb[16:, :24], stored_rgb[16:, 24:] = (30, 30, 200), (220, 220, 220)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(stored_rgb).save(path, quality=95, exif=exif.tobytes())
    # Row 0 and column 0 of the stored picture are these sides of the scene (EXIF 2.3, 4.6.4 A, Orientation).
    flips = {1: [], 2: ["x"], 3: ["x", "y"], 4: ["y"], 5: ["t"], 6: ["t", "x"], 7: ["t", "x", "y"], 8: ["t", "y"]}
    expected_rgb = stored_rgb
    for flip in flips[orientation]:
        expected_rgb = {"x": expected_rgb[:, ::-1], "y": expected_rgb[::-1], "t": expected_rgb.transpose(1, 0, 2)}[flip]
    picture_rgb = read(path)
    assert picture_rgb.shape == expected_rgb.shape
    for row, column in ((4, 4), (4, -5), (-5, 4), (-5, -5)):
        assert np.abs(picture_rgb[row, column].astype(int) - expected_rgb[row, column]).max() < 8


def test_transparency_shows_the_background(tmp_path: Path) -> None:
    Image.fromarray(np.array([[[255, 0, 0, 255], [255, 0, 0, 0]]], np.uint8), "RGBA").save(tmp_path / "a.png")
    assert read(tmp_path / "a.png").tolist() == [[[255, 0, 0], [10, 20, 30]]]
    palette = Image.new("P", (1, 1), 0)
    palette.putpalette([255, 255, 255])
    palette.save(tmp_path / "p.png", transparency=0)
    assert read(tmp_path / "p.png").tolist() == [[[10, 20, 30]]]


def test_deep_pictures_are_scaled_by_their_type(tmp_path: Path) -> None:
    for suffix in ("png", "tiff"):
        Image.fromarray(np.array([[0, 32_896, 65_535]], np.uint16)).save(tmp_path / f"a.{suffix}")
        assert read(tmp_path / f"a.{suffix}")[0, :, 0].tolist() == [0, 128, 255]
        # A dark picture stays dark, also if all of its values would fit into 8 bits.
        Image.fromarray(np.array([[0, 200, 255]], np.uint16)).save(tmp_path / f"a.{suffix}")
        assert read(tmp_path / f"a.{suffix}")[0, :, 0].tolist() == [0, 1, 1]
    Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32)).save(tmp_path / "a.tiff")
    assert read(tmp_path / "a.tiff")[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    "values",
    [np.array([[0.0, 200.0]], np.float32), np.array([[np.nan, 0.5]], np.float32), np.array([[0, 70]], np.int32)],
)
def test_values_without_a_defined_white_are_refused(tmp_path: Path, values: np.ndarray) -> None:
    Image.fromarray(values).save(tmp_path / "a.tiff")
    with pytest.raises(BadRow, match=r"NotAnImage: it has .* values from .*; expected 8 or 16 bits, or floats"):
        read(tmp_path / "a.tiff")


P3_TO_XYZ_D50 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
"""Red, green and blue of Display P3, adapted to the white point D50 of profiles."""


def display_p3() -> bytes:
    """Colour profile of Display P3: that of sRGB, whose transfer curve it shares, with other primaries."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for tag, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), P3_TO_XYZ_D50, strict=True):
        entry = data.index(tag, 128)
        (offset,) = struct.unpack(">I", data[entry + 4 : entry + 8])
        data[offset + 8 : offset + 20] = struct.pack(">3i", *(round(value * 65536) for value in xyz))
    return bytes(data)


def test_colour_profiles_are_converted_to_srgb(tmp_path: Path) -> None:
    """The same colours in Display P3 and in sRGB, from the published matrices of both."""
    srgb = np.array([[[200, 60, 40], [60, 170, 80], [40, 60, 200], [235, 235, 235]]], np.uint8)
    linear = np.where(srgb / 255 <= 0.04045, srgb / 255 / 12.92, ((srgb / 255 + 0.055) / 1.055) ** 2.4)
    to_p3 = np.array([[0.82246, 0.17754, 0.0], [0.03319, 0.96681, 0.0], [0.01708, 0.07240, 0.91052]])
    p3 = linear @ to_p3.T
    coded = np.where(p3 <= 0.0031308, p3 * 12.92, 1.055 * np.maximum(p3, 1e-9) ** (1 / 2.4) - 0.055)
    picture = Image.fromarray(np.rint(coded * 255).astype(np.uint8))
    assert np.abs(np.asarray(picture).astype(int) - srgb).max() > 20
    for name, mode in (("a.png", "RGB"), ("b.png", "RGBA"), ("a.webp", "RGB"), ("a.tiff", "RGB")):
        picture.convert(mode).save(tmp_path / name, icc_profile=display_p3(), lossless=True)
        assert np.abs(read(tmp_path / name).astype(int) - srgb).max() <= 2
    large = picture.resize((64, 16), Image.Resampling.NEAREST)
    for name in ("a.jpg", "a.avif", "a.heic"):
        large.save(tmp_path / name, icc_profile=display_p3(), quality=100, subsampling="4:4:4")
        assert np.abs(read(tmp_path / name)[8, 8::16].astype(int) - srgb[0]).max() <= 6


def test_a_damaged_colour_profile_is_ignored(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (200, 100, 50)).save(tmp_path / "a.png", icc_profile=b"junk" * 100)
    assert read(tmp_path / "a.png")[0, 0].tolist() == [200, 100, 50]


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_with_lost_pieces_is_refused(tmp_path: Path, progressive: bool) -> None:
    noise_rgb = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
    Image.fromarray(noise_rgb).save(tmp_path / "a.jpg", quality=90, progressive=progressive)
    data = (tmp_path / "a.jpg").read_bytes()
    assert read(tmp_path / "a.jpg").shape == (96, 96, 3)
    middle = len(data) * 2 // 3
    (tmp_path / "lost.jpg").write_bytes(data[:middle] + data[middle + 1000 :])
    (tmp_path / "cut.jpg").write_bytes(data[:middle])
    for name in ("lost.jpg", "cut.jpg"):
        with pytest.raises(BadRow, match="NotAnImage: it is damaged"):
            read(tmp_path / name)


def png_header(width_px: int, height_px: int) -> bytes:
    """PNG of one bit per pixel with almost no data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width_px, height_px, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side_px", [9_999, 50_000, 2**31 - 1])
def test_a_bomb_is_too_large(tmp_path: Path, side_px: int) -> None:
    (tmp_path / "a.png").write_bytes(png_header(side_px, side_px))
    with pytest.raises(BadRow, match="TooLarge: it"):
        read(tmp_path / "a.png")


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    """A FIFO without a writer would block for ever, and /dev/zero never ends."""
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "environ.png").symlink_to("/proc/self/environ")
    (tmp_path / "folder.png").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.png"))
        for name in ("fifo.png", "zero.png", "environ.png", "folder.png", "socket.png"):
            with pytest.raises(BadRow, match=r"UnreadableSource: it is not a regular file|NotAnImage: it is empty"):
                read(tmp_path / name)
    with pytest.raises(BadRow, match="NotFound"):
        read(tmp_path / "absent.png")


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.png").write_bytes(b"<html>404</html>")
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    (tmp_path / "empty.png").write_bytes(b"")
    # PostScript is executable; PIL would pass it to an interpreter.
    (tmp_path / "program.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n")
    for name, message in (
        ("page.png", r"it is no picture that can be read \(16 bytes\)"),
        ("cut.png", "it is damaged"),
        ("empty.png", r"it is empty \(0 bytes\)"),
        ("program.png", "it is no picture"),
    ):
        with pytest.raises(BadRow, match=f"NotAnImage: {message}"):
            read(tmp_path / name)
    with pytest.raises(BadRow, match="TooLarge: it has 64 x 64 pixels, 4000 in all are allowed"):
        read(tmp_path / "a.png", max_pixels=4000)
