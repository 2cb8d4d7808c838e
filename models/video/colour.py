"""Colour spaces of decoded frames, and what brings them to RGB as screens of BT.709 or sRGB show it."""

from __future__ import annotations

from typing import Any

from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc

from models.video.errors import MediaError

_MATRIX_BT2020 = 9
_MATRICES = {0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", _MATRIX_BT2020: "bt2020nc"}
"""Matrices by their number in ISO 23091-2 that swscale computes with; it would take any other for BT.601."""
_OTHER_MATRICES = {
    8: "ycgco",
    10: "bt2020c",
    11: "smpte2085",
    12: "chroma-derived-nc",
    13: "chroma-derived-c",
    14: "ictcp",
    15: "ipt-c2",
    16: "ycgco-re",
    17: "ycgco-ro",
}
_SDR_TRANSFERS = {
    1: "bt709",
    4: "gamma22",
    5: "gamma28",
    6: "smpte170m",
    7: "smpte240m",
    11: "iec61966-2-4",
    12: "bt1361",
    13: "srgb",
    14: "bt2020-10",
    15: "bt2020-12",
}
_HDR_TRANSFERS = {int(ColorTrc.SMPTE2084): "pq", int(ColorTrc.ARIB_STD_B67): "hlg"}
_OTHER_TRANSFERS = {8: "linear", 9: "log100", 10: "log316", 17: "smpte428"}
_WIDE_PRIMARIES = {
    int(ColorPrimaries.BT2020): "bt2020",
    int(ColorPrimaries.SMPTE431): "dci-p3",
    int(ColorPrimaries.SMPTE432): "display-p3",
}
_PRIMARIES = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "film",
    10: "xyz",
    22: "ebu3213",
}
_RANGES = {1: "limited", 2: "full"}

_HD_MIN_WIDTH_PX, _SD_MAX_HEIGHT_PX = 1280, 576
"""Untagged video of this width, or above this height, is taken for BT.709, as players do; smaller for BT.601."""


def describe_colour(frame: Any) -> str:
    """`primaries/transfer/matrix/range` as the file states them, such as `bt2020/hlg/bt2020nc/limited`."""
    primaries = {**_PRIMARIES, **_WIDE_PRIMARIES}.get(frame.color_primaries, "unspecified")
    transfer = {**_SDR_TRANSFERS, **_HDR_TRANSFERS, **_OTHER_TRANSFERS}.get(frame.color_trc, "unspecified")
    matrix = {**_MATRICES, **_OTHER_MATRICES}.get(frame.colorspace, "unspecified")
    return f"{primaries}/{transfer}/{matrix}/{_RANGES.get(frame.color_range, 'unspecified')}"


def mapping_of(frame: Any) -> str | None:
    """How colours are mapped to BT.709: `pq` and `hlg` (tone mapping), `gamut` (primaries only), or None."""
    transfer = _HDR_TRANSFERS.get(frame.color_trc)
    return transfer or ("gamut" if frame.color_primaries in _WIDE_PRIMARIES else None)


def assumed_matrix(frame: Any) -> Colorspace | None:
    """Matrix of a frame that states none; None where it is stated, or BT.601, which swscale assumes itself."""
    if frame.colorspace in _MATRICES or frame.format.is_rgb:
        return None
    if frame.color_primaries == ColorPrimaries.BT2020 or frame.color_trc in _HDR_TRANSFERS:
        return Colorspace.BT2020
    is_hd = frame.width >= _HD_MIN_WIDTH_PX or frame.height > _SD_MAX_HEIGHT_PX
    return Colorspace.ITU709 if is_hd else None


def check_colour(video: Any, frame: Any) -> None:
    """Raise MediaError UnsupportedColour if the colours of a frame of `video` cannot be brought to BT.709."""
    is_coded = not frame.format.is_rgb
    unsupported = _OTHER_TRANSFERS.get(frame.color_trc) or (is_coded and _OTHER_MATRICES.get(frame.colorspace))
    if not unsupported and is_coded and _is_dolby_vision_only(video, frame):
        unsupported = "Dolby Vision without a base layer"
    if unsupported:
        raise MediaError(
            "UnsupportedColour",
            f"the colours of {video.path} are {unsupported} ({describe_colour(frame)}), which cannot be converted; "
            "convert the video to BT.709",
        )


def _is_dolby_vision_only(video: Any, frame: Any) -> bool:
    """Whether the colours are those of Dolby Vision's profile 5, which are green and purple when read as others."""
    tag = str(video.stream.codec_context.codec_tag)
    return tag in ("dvh1", "dvhe", "dav1") and frame.color_trc not in (*_HDR_TRANSFERS, *_SDR_TRANSFERS)
