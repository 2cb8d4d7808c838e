"""Contact sheets beside the cards of published checkpoints: pictures in rows, under the names of their columns."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from models.common.atomic import atomic_path

MAX_BYTES = 300_000
_QUALITIES = (90, 80, 70, 55, 40, 20)
_HEADER_PX = 16


def write_sheet(path: Path, rows: Sequence[Sequence[NDArray[np.uint8]]], columns: Sequence[str]) -> None:
    """Write a WebP picture of at most `MAX_BYTES`.

    `rows`: pictures (H, W, 3) of one size, one per column.

    Raises:
        ValueError: the picture is larger even at the lowest quality.
    """
    data = _encoded(_with_header(np.concatenate([np.concatenate(row, axis=1) for row in rows]), columns))
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def _with_header(rows_HWC: NDArray[np.uint8], columns: Sequence[str]) -> Image.Image:
    """The rows below the columns' names."""
    height, width = rows_HWC.shape[:2]
    sheet = Image.new("RGB", (width, height + _HEADER_PX), "white")
    sheet.paste(Image.fromarray(rows_HWC), (0, _HEADER_PX))
    draw = ImageDraw.Draw(sheet)
    for column, name in enumerate(columns):
        draw.text((column * width // len(columns) + 4, 2), name, fill="black")
    return sheet


def _encoded(sheet: Image.Image) -> bytes:
    for quality in _QUALITIES:
        buffer = BytesIO()
        sheet.save(buffer, "WEBP", quality=quality)
        if len(buffer.getvalue()) <= MAX_BYTES:
            return buffer.getvalue()
    raise ValueError(
        f"the contact sheet has {len(buffer.getvalue())} bytes at quality {_QUALITIES[-1]}, {MAX_BYTES} are allowed; "
        "draw smaller frames"
    )
