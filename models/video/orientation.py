"""Display matrices: how a coded picture is turned and mirrored for display."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from av.sidedata.sidedata import Type as SideDataType

from models.video.errors import MediaError

_TOLERANCE = 0.01
"""Maximum ratio of the small to the large coefficients of an axis: matrices are stored as rounded numbers."""

_QUARTER_TURNS = {
    # (swaps_axes, flips_x, flips_y): counter-clockwise quarter turns, after mirroring where there is an odd number.
    (False, False, False): 0,
    (True, False, True): 1,
    (False, True, True): 2,
    (True, True, False): 3,
    (False, True, False): 0,
    (True, False, False): 1,
    (False, False, True): 2,
    (True, True, True): 3,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Orientation:
    """One of the eight ways to show a rectangle upright: axes are swapped first, then the result is flipped."""

    swaps_axes: bool = False
    flips_x: bool = False
    flips_y: bool = False

    @property
    def mirrored(self) -> bool:
        """Whether the coded picture is flipped left to right, before it is rotated."""
        return (self.swaps_axes + self.flips_x + self.flips_y) % 2 == 1

    @property
    def rotation_degrees(self) -> int:
        """Counter-clockwise rotation after the mirroring: 0, 90, 180 or 270."""
        return 90 * _QUARTER_TURNS[self.swaps_axes, self.flips_x, self.flips_y]

    def coded_view(self, displayed_HWC: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """View of a displayed picture in the orientation of the coded one: writing to it turns the picture upright."""
        flipped = displayed_HWC[:: -1 if self.flips_y else 1, :: -1 if self.flips_x else 1]
        return flipped.swapaxes(0, 1) if self.swaps_axes else flipped


def orientation_of(frame: Any) -> Orientation:
    """Orientation of a decoded frame, from its display matrix.

    Raises:
        MediaError: UnsupportedOrientation, if the matrix is none of the eight orientations.
    """
    data = frame.side_data.get(SideDataType.DISPLAYMATRIX)
    if data is None:
        return Orientation()
    # x' = a x + c y, y' = b x + d y (ISO 14496-12, 6.2.2), in units of 1 / 65536.
    a, b, _, c, d = (value / 65536 for value in struct.unpack("=9i", bytes(data))[:5])
    upright, swapped = min(abs(a), abs(d)), min(abs(b), abs(c))
    if max(abs(b), abs(c)) <= _TOLERANCE * upright and upright > 0:
        return Orientation(flips_x=a < 0, flips_y=d < 0)
    if max(abs(a), abs(d)) <= _TOLERANCE * swapped and swapped > 0:
        return Orientation(swaps_axes=True, flips_x=c < 0, flips_y=b < 0)
    matrix = f"[{a:.4g} {b:.4g}; {c:.4g} {d:.4g}]"
    raise MediaError(
        "UnsupportedOrientation",
        f"the display matrix is {matrix}, expected a rotation by a multiple of 90 degrees, mirrored or not; write the "
        "video anew without it",
    )
