from __future__ import annotations

import struct

import numpy as np
import pytest

from models.video.container import MediaLimits
from models.video.decode import decode_clip
from models.video.errors import MediaError
from models.video.orientation import Orientation
from models.video.probe import probe
from models.video.window import ClipWindow

LIMITS = MediaLimits()
MATRICES = {
    # a, b, c, d of the file: x' = a x + c y, y' = b x + d y; what it does to a picture; rotation and mirroring.
    "upright": ((1, 0, 0, 1), lambda p: p, (0, False)),
    "clockwise": ((0, 1, -1, 0), lambda p: np.rot90(p, -1), (270, False)),
    "upside_down": ((-1, 0, 0, -1), lambda p: np.rot90(p, 2), (180, False)),
    "counter_clockwise": ((0, -1, 1, 0), np.rot90, (90, False)),
    "mirrored": ((-1, 0, 0, 1), lambda p: p[:, ::-1], (0, True)),
    "flipped": ((1, 0, 0, -1), lambda p: p[::-1], (180, True)),
    "transposed": ((0, 1, 1, 0), lambda p: p.swapaxes(0, 1), (90, True)),
    "antitransposed": ((0, -1, -1, 0), lambda p: p[::-1, ::-1].swapaxes(0, 1), (270, True)),
}


def with_matrix(media, path, matrix):
    a, b, c, d = (round(value * 65536) for value in matrix)
    media.encode(path, media.numbered_frames(2), options={"crf": "8"})
    data = path.read_bytes()
    start = media.find_box(data, b"tkhd") + 40
    path.write_bytes(data[:start] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + data[start + 36 :])
    return str(path)


def first_frame(path, **options):
    window = ClipWindow(start_seconds=0.0, num_frames=1, frame_step=1, fps=25.0)
    return decode_clip(path, window, short_side_px=64, multiple=1, limits=LIMITS, **options).frames[0].astype(int)


@pytest.mark.parametrize("name", MATRICES)
def test_display_matrices_are_applied_in_full(media, tmp_path, name):
    matrix, shown, (rotation, mirrored) = MATRICES[name]
    plain = first_frame(with_matrix(media, tmp_path / "plain.mp4", (1, 0, 0, 1)))
    path = with_matrix(media, tmp_path / "a.mp4", matrix)
    assert np.abs(first_frame(path) - shown(plain)).max() <= 2
    info = probe(path, LIMITS)
    assert (info.height_px, info.width_px) == shown(plain).shape[:2]
    assert (info.rotation_degrees, info.mirrored) == (rotation, mirrored)
    assert info.frame_conversion == ("mirrored" if mirrored else None)
    turned = np.rot90(plain[:, ::-1] if mirrored else plain, rotation // 90)
    np.testing.assert_array_equal(turned, shown(plain))


@pytest.mark.parametrize("matrix", [(0.7071, 0.7071, -0.7071, 0.7071), (0, 0, 0, 0), (1, 0, 0.5, 1), (1, 0, 0, 0)])
def test_other_matrices_are_refused(media, tmp_path, matrix):
    path = with_matrix(media, tmp_path / "a.mp4", matrix)
    for read in (lambda: probe(path, LIMITS), lambda: first_frame(path)):
        with pytest.raises(MediaError, match="UnsupportedOrientation: the display matrix is"):
            read()


def test_coded_view_is_a_view():
    displayed = np.zeros((4, 6, 3), np.uint8)
    Orientation(swaps_axes=True, flips_x=True).coded_view(displayed)[:] = 7
    assert displayed.min() == 7
