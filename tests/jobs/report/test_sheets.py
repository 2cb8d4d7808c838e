import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.report.sheets import GAP_PX, THUMBNAIL_PIXELS, contact_sheet, frames_to_show
from models.masks import rle


@given(st.integers(1, 500), st.integers(1, 9))
def test_frames_are_spread_over_the_clip(num_frames, count):
    indices = frames_to_show(num_frames, count)
    assert len(indices) == min(count, num_frames)
    assert sorted(set(indices)) == indices
    assert indices[0] >= 0
    assert indices[-1] < num_frames
    assert abs(indices[0] - (num_frames - 1 - indices[-1])) <= 1


def read(panel):
    picture = cv2.imdecode(np.frombuffer(panel.webp, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture.shape[:2] == (panel.height_px, panel.width_px)
    return picture


def test_every_signal_gets_a_panel_of_thumbnails(prepared):
    row, frames = prepared
    indices = frames_to_show(len(frames), 3)
    sheet = contact_sheet(row, frames[indices], indices)
    assert [panel.label for panel in sheet.panels] == [
        "Frame",
        "Skeleton",
        "Structured depth",
        "Masks",
        "Shape-agnostic",
    ]
    assert not sheet.landscape
    assert sheet.legend[0].label == "character"
    assert len(sheet.legend) == 1 + len(row["object_masks"])
    assert dict(sheet.facts)["sharpness"] == "812"
    height = (sheet.panels[0].height_px - 2 * GAP_PX) // 3
    assert height * sheet.panels[0].width_px == pytest.approx(THUMBNAIL_PIXELS, rel=0.02)
    for panel in sheet.panels:
        alpha = read(panel)[..., 3]
        assert (alpha[:height] == 255).all()
        assert (alpha[height : height + GAP_PX] == 0).all()


def test_agnostic_panel_hides_the_character_and_nothing_else(prepared):
    row, frames = prepared
    sheet = contact_sheet(row, frames[:1], [0])
    size = (sheet.panels[0].width_px, sheet.panels[0].height_px)
    hidden = cv2.resize(rle.decode(row["agnostic_mask"][:1])[0].astype(np.uint8), size) > 0
    core = cv2.erode(hidden.astype(np.uint8), np.ones((9, 9))) > 0
    away = cv2.dilate(hidden.astype(np.uint8), np.ones((9, 9))) == 0
    shown, agnostic = read(sheet.panels[0])[..., :3].astype(int), read(sheet.panels[4])[..., :3].astype(int)
    assert np.abs(agnostic[core] - [138, 127, 122]).mean() < 4
    assert np.abs(agnostic[away] - shown[away]).mean() < 6


@pytest.mark.parametrize(("num_people", "text"), [([2, 2, 2], "2"), ([1, 4, 0], "0 to 4"), (None, None)])
def test_persons_are_counted_where_the_backend_counts(prepared, num_people, text):
    row, frames = prepared
    sheet = contact_sheet({**row, "num_people": num_people}, frames[[0]], [0])
    assert dict(sheet.facts).get("persons") == text


def test_signals_that_the_row_lacks_are_left_out(prepared):
    row, frames = prepared
    row = {
        **row,
        "status": "rejected",
        "reason": "NoPerson",
        "keypoints": None,
        "depth_png": None,
        "agnostic_mask": None,
    }
    sheet = contact_sheet(row, frames[:2], [0, 1])
    assert [panel.label for panel in sheet.panels] == ["Frame", "Masks"]
    assert (sheet.status, sheet.reason) == ("rejected", "NoPerson")


def test_clip_without_any_depth(prepared):
    row, frames = prepared
    empty = cv2.imencode(".png", np.zeros(frames.shape[1:3], np.uint16))[1].tobytes()
    sheet = contact_sheet({**row, "depth_png": [empty] * 6, "depth_min": 0.0, "depth_max": 0.0}, frames[:2], [0, 1])
    assert sheet.panels[2].label == "Structured depth"


def test_large_landscape_frames_are_reduced(prepared):
    row, _ = prepared
    frames = np.full((1, 540, 960, 3), 90, np.uint8)
    bare = {name: row[name] for name in ("clip_id", "status")}
    sheet = contact_sheet(bare, frames, [0])
    assert sheet.landscape
    assert sheet.panels[0].width_px < 400


def test_refuses_frames_that_do_not_fit_the_row(prepared):
    row, frames = prepared
    with pytest.raises(ValueError, match="for 1 indices"):
        contact_sheet(row, frames[:2], [0])
    with pytest.raises(ValueError, match="but the frames are 32 x 48"):
        contact_sheet(row, frames[:1, ::2, ::2], [0])
