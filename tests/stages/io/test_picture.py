from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.io.picture import read_picture
from stages.outcome import BadRow


def read(path: Path, max_pixels: int = 10_000) -> np.ndarray:
    picture = read_picture(str(path), shown="it", max_pixels=max_pixels, background_rgb=(10, 20, 30))
    assert picture.mode == "RGB"
    return np.asarray(picture)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tiff", "gif"])
def test_pictures_of_every_format(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (12, 8), (200, 100, 50)).save(tmp_path / f"a.{suffix}")
    picture_rgb = read(tmp_path / f"a.{suffix}")
    assert picture_rgb.shape == (8, 12, 3)
    assert np.abs(picture_rgb.astype(int) - (200, 100, 50)).max() < 8


def test_exif_turns_the_picture_upright(tmp_path: Path) -> None:
    picture = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40)
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise
    picture.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read(tmp_path / "a.png")[..., 0], np.rot90(np.asarray(picture), -1))


def test_transparency_shows_the_background(tmp_path: Path) -> None:
    Image.fromarray(np.array([[[255, 0, 0, 255], [255, 0, 0, 0]]], np.uint8), "RGBA").save(tmp_path / "a.png")
    assert read(tmp_path / "a.png").tolist() == [[[255, 0, 0], [10, 20, 30]]]
    palette = Image.new("P", (1, 1), 0)
    palette.putpalette([255, 255, 255])
    palette.save(tmp_path / "p.png", transparency=0)
    assert read(tmp_path / "p.png").tolist() == [[[10, 20, 30]]]


def test_deep_pictures_keep_their_range(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 32_896, 65_535]], np.uint16)).save(tmp_path / "a.png")
    assert read(tmp_path / "a.png")[0, :, 0].tolist() == [0, 128, 255]
    Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32)).save(tmp_path / "a.tiff")
    assert read(tmp_path / "a.tiff")[0, :, 0].tolist() == [0, 128, 255]


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
        ("empty.png", "it is no picture"),
        ("program.png", "it is no picture"),
    ):
        with pytest.raises(BadRow, match=f"NotAnImage: {message}"):
            read(tmp_path / name)
    with pytest.raises(BadRow, match="TooLarge: it has 64 x 64 pixels, 4000 in all are allowed"):
        read(tmp_path / "a.png", max_pixels=4000)
