from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from models.video.container import MediaLimits
from models.video.decode import decode_clip
from models.video.errors import MediaError
from models.video.probe import probe
from models.video.window import ClipWindow

LIMITS = MediaLimits()
SRGB = np.array(
    [
        *((200, 30, 30), (30, 170, 30), (40, 40, 200), (220, 210, 60), (235, 235, 235), (128, 128, 128)),
        *((16, 16, 16), (210, 170, 140), (120, 90, 70), (90, 120, 160), (255, 255, 255), (100, 180, 120)),
    ]
)
"""Saturated colours, greys and skin."""
SIDE_PX = 16
BT709, BT601, BT2020, DISPLAY_P3 = 1, 6, 9, 12
PQ, HLG, BT2020_10 = 16, 18, 14
LUMA = {BT709: (0.2126, 0.0722), BT601: (0.299, 0.114), BT2020: (0.2627, 0.0593)}
"""Weights of red and blue in luma."""


def primaries_to_xyz(red, green, blue):
    white = np.array([0.3127 / 0.3290, 1.0, (1 - 0.3127 - 0.3290) / 0.3290])
    xyz = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in (red, green, blue)]).T
    return xyz * np.linalg.solve(xyz, white)


XYZ_OF = {
    BT709: primaries_to_xyz((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    BT2020: primaries_to_xyz((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    DISPLAY_P3: primaries_to_xyz((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}


def linear_light(primaries: int) -> np.ndarray:
    """(N, 3) `SRGB` as linear light of other primaries; 1 is white."""
    coded = SRGB / 255
    light = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    return light @ (np.linalg.inv(XYZ_OF[primaries]) @ XYZ_OF[BT709]).T


def pq(light: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084, with white at 203 cd/m² (ITU-R BT.2408)."""
    y = (light * 203 / 10_000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * y) / (1 + 2392 / 128 * y)) ** (2523 / 32)


def hlg(light: np.ndarray) -> np.ndarray:
    """ITU-R BT.2100 for a screen of 1000 cd/m², with white at 203 cd/m²."""
    luminance = light @ np.array([0.2627, 0.6780, 0.0593]) * 0.203
    scene = light * 0.203 * luminance[:, None] ** (1 / 1.2 - 1)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)


def write(path, coded, *, matrix, bits=10, full=False, tags=(None, None, None), width=None, height=SIDE_PX):
    """Lossless FFV1 of patches of `coded` (N, 3), 0 to 1. `tags`: primaries, transfer and matrix, as in the file."""
    red_weight, blue_weight = LUMA[matrix]
    red, green, blue = coded.T
    luma = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
    chroma = [(blue - luma) / (2 - 2 * blue_weight), (red - luma) / (2 - 2 * red_weight)]
    scale, top = 2 ** (bits - 8), 2**bits - 1
    if full:
        planes = [luma * top, *(value * top + 2 ** (bits - 1) for value in chroma)]
    else:
        planes = [(16 + 219 * luma) * scale, *((128 + 224 * value) * scale for value in chroma)]
    width = width or SIDE_PX * len(coded)
    patches = np.arange(width) * len(coded) // width
    frame = av.VideoFrame(width, height, "yuv444p" if bits == 8 else f"yuv444p{bits}le")
    for plane, values in zip(frame.planes, planes, strict=True):
        kind = np.uint8 if bits == 8 else np.dtype("<u2")
        rows = np.zeros((height, plane.line_size // np.dtype(kind).itemsize), kind)
        rows[:, :width] = np.clip(np.rint(values), 0, top).astype(kind)[patches]
        plane.update(rows.tobytes())
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    with av.open(str(path), "w", format="matroska") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, frame.format.name
        context = stream.codec_context
        context.color_range = frame.color_range = 2 if full else 1
        names = ("color_primaries", "color_trc", "colorspace")
        for name, value in zip(names, tags, strict=True):
            if value is not None:
                setattr(context, name, value)
                setattr(frame, name, value)
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def decoded(path, *, num_patches=12) -> np.ndarray:
    """(N, 3) colours at the centres of the patches."""
    info = probe(str(path), LIMITS)
    window = ClipWindow(start_seconds=info.start_seconds, num_frames=1, frame_step=1, fps=25.0)
    side = min(info.width_px, info.height_px)
    frame = decode_clip(str(path), window, short_side_px=side, multiple=1, limits=LIMITS).frames[0]
    centres = ((np.arange(num_patches) + 0.5) * frame.shape[1] / num_patches).astype(int)
    return frame[len(frame) // 2, centres].astype(int)


@pytest.mark.parametrize(("transfer", "curve", "name"), [(PQ, pq, "pq"), (HLG, hlg, "hlg")])
def test_hdr_is_tone_mapped_to_what_it_shows(tmp_path, transfer, curve, name):
    """Pictures of sRGB in an HDR signal, at the level of diffuse white, come back as they were."""
    path = write(tmp_path / "a.mkv", curve(linear_light(BT2020)), matrix=BT2020, tags=(BT2020, transfer, BT2020))
    info = probe(str(path), LIMITS)
    assert info.colour == f"bt2020/{name}/bt2020nc/limited"
    assert info.frame_conversion == f"tone-mapped-{name}"
    assert np.abs(decoded(path) - SRGB).mean() < 1.5


def test_highlights_of_hdr_become_white(tmp_path):
    light = np.repeat([[0.5], [1.0], [2.0], [40.0]], 3, axis=1)
    path = write(tmp_path / "a.mkv", pq(light), matrix=BT2020, tags=(BT2020, PQ, BT2020))
    assert decoded(path, num_patches=len(light))[:, 1] == pytest.approx([188, 255, 255, 255], abs=3)


@pytest.mark.parametrize(("primaries", "matrix"), [(BT2020, BT2020), (DISPLAY_P3, BT709)])
def test_wide_gamuts_are_mapped_and_keep_their_tones(tmp_path, primaries, matrix):
    gamma = 1 / 2.4
    coded = np.clip(linear_light(primaries), 0, 1) ** gamma
    path = write(tmp_path / "a.mkv", coded, matrix=matrix, tags=(primaries, BT709, matrix))
    assert probe(str(path), LIMITS).frame_conversion == "gamut-mapped"
    assert np.abs(decoded(path) - 255 * linear_light(BT709) ** gamma).mean() < 1.5


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [BT601, BT709])
def test_matrix_and_range_are_those_of_the_file(tmp_path, bits, full, matrix):
    path = write(tmp_path / "a.mkv", SRGB / 255, matrix=matrix, bits=bits, full=full, tags=(None, None, matrix))
    assert probe(str(path), LIMITS).frame_conversion is None
    assert np.abs(decoded(path) - SRGB).max() <= 2


@pytest.mark.parametrize(
    ("size_px", "matrix", "conversion"), [((192, 96), BT601, None), ((1280, 720), BT709, "bt709-assumed")]
)
def test_without_tags_small_video_is_bt601_and_hd_is_bt709(tmp_path, size_px, matrix, conversion):
    width, height = size_px
    path = write(tmp_path / "a.mkv", SRGB / 255, matrix=matrix, width=width, height=height)
    info = probe(str(path), LIMITS)
    assert (info.colour, info.frame_conversion) == ("unspecified/unspecified/unspecified/limited", conversion)
    assert np.abs(decoded(path) - SRGB).max() <= 2


@pytest.mark.parametrize(("tags", "name"), [((BT2020, PQ, 14), "ictcp"), ((BT709, 8, BT709), "linear")])
def test_colours_that_cannot_be_converted_are_refused(tmp_path, tags, name):
    path = write(tmp_path / "a.mkv", SRGB / 255, matrix=BT709, tags=tags)
    with pytest.raises(MediaError, match=f"UnsupportedColour: .*{name}"):
        probe(str(path), LIMITS)
