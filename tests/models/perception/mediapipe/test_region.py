from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.perception.mediapipe.region import DOWNWARDS, UPWARDS, Region

REGIONS = st.builds(
    Region,
    x=st.floats(20, 80),
    y=st.floats(20, 80),
    side_px=st.floats(40, 90),
    angle=st.floats(-math.pi, math.pi),
)


@given(REGIONS, st.tuples(st.floats(0.2, 0.8), st.floats(0.2, 0.8)))
def test_what_is_drawn_at_a_point_of_a_region_is_cut_out_there(region: Region, point: tuple[float, float]) -> None:
    frame = np.zeros((100, 100, 3), np.uint8)
    x, y = region.to_frame(np.array(point))
    row, column = np.mgrid[:100, :100]
    frame[:] = (255 * np.exp(-((column - x) ** 2 + (row - y) ** 2) / 18))[..., None]
    crop = region.cut(frame, 64)[..., 0].astype(np.float64)
    found = np.array([(crop * np.arange(64)).sum(), (crop.T * np.arange(64)).sum()]) / max(crop.sum(), 1)
    inside = (region.to_frame(np.array([[0, 0], [0, 1], [1, 0], [1, 1]])) > -0.5).all()
    if inside and 10 < x < 90 and 10 < y < 90:
        # Half a pixel of the frame, as pixels of the crop, and the part of the spot beyond the edge.
        np.testing.assert_allclose(found / 64, point, atol=0.03)


@given(REGIONS)
def test_a_pasted_crop_lies_where_it_was_cut(region: Region) -> None:
    row, column = np.mgrid[:100, :100]
    frame = ((column - region.x) ** 2 + (row - region.y) ** 2 < (0.3 * region.side_px) ** 2).astype(np.uint8) * 255
    crop = region.cut(np.repeat(frame[..., None], 3, 2), 128)[..., 0].astype(np.float32)
    pasted = region.paste(crop, (100, 100), outside=0.0) > 127
    assert (pasted != (frame > 0)).mean() < 0.02


@given(st.floats(-100, 100), st.floats(-100, 100))
def test_a_region_is_turned_so_that_its_edge_lies_in_the_given_direction(dx: float, dy: float) -> None:
    if math.hypot(dx, dy) < 1:
        return
    centre = np.array([50.0, 60.0])
    edge = centre + np.array([dx, dy])
    for towards, place in ((UPWARDS, (0.5, 0.0)), (DOWNWARDS, (0.5, 1.0))):
        region = Region.around(centre, edge, scale=1.0, towards=towards)
        np.testing.assert_allclose(region.to_frame(np.array(place)), edge, atol=1e-3)
        np.testing.assert_allclose(region.to_frame(np.array([0.5, 0.5])), centre, atol=1e-3)
        raised = region.moved(up=0.25)
        np.testing.assert_allclose(
            raised.to_frame(np.array([0.5, 0.5])), region.to_frame(np.array([0.5, 0.25])), atol=1e-3
        )


def test_a_whole_frame_fits_its_region() -> None:
    corners = Region.of_frame(width_px=40, height_px=20).to_frame(np.array([[0, 0.25], [1, 0.75]]))
    np.testing.assert_allclose(corners, [[-0.5, -0.5], [39.5, 19.5]])
