from __future__ import annotations

import numpy as np
import pytest
from puppet_media import puppet_frames
from toy_animation import ToyModel, ToyVariant, scene_model, spec_of

from models.perception.embedded import EmbeddedFigure
from models.pose.extent import CONFIDENT_SCORE
from stages.animate.reference_crop import ReferenceCropConfig, ReferenceCropStage, ReferenceMaskStage
from stages.backends.base import EMBEDDED
from stages.base import Row
from stages.outcome import BadRow
from stages.prepare.character_mask import CharacterMaskConfig

CANVAS = {"canvas_width_px": 64, "canvas_height_px": 96}


@pytest.fixture(scope="module")
def row() -> Row:
    # A character that fills a small part of a wide picture.
    picture = np.full((200, 400, 3), 200, np.uint8)
    picture[40:168, 260:356] = puppet_frames(3, num_frames=1)[0]
    keypoints = EmbeddedFigure().keypoints(picture[None])[0]
    scene = {"model_spec": spec_of(scene_model()), "reference_uri": "a.png"}
    return {**scene, **CANVAS, "reference_picture": picture, "picture_keypoints": keypoints}


def test_the_character_fills_the_canvas_with_its_mask_and_keypoints(row: Row) -> None:
    masked = ReferenceMaskStage(CharacterMaskConfig(backend=EMBEDDED))(row)
    assert masked["picture_mask"].shape == (200, 400)
    made = ReferenceCropStage(ReferenceCropConfig())(masked)
    assert made["reference_image"].shape == (96, 64, 3)
    mask, keypoints = made["reference_mask"], made["reference_keypoints"]
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert max(np.ptp(rows) / 96, np.ptp(columns) / 64) > 0.7
    body = keypoints[:17][keypoints[:17, 2] >= CONFIDENT_SCORE]
    x, y = np.rint(body[:, :2]).astype(int).T
    assert mask[y, x].mean() > 0.8


def test_without_a_mask_the_keypoints_give_the_crop(row: Row) -> None:
    spec = spec_of(ToyModel("maskless", ToyVariant(needs=frozenset({"scene_frames"}))))
    stage = ReferenceMaskStage(CharacterMaskConfig(backend="sam2", weights="/nowhere"))
    masked = stage({**row, "model_spec": spec})
    made = ReferenceCropStage(ReferenceCropConfig())(masked)
    assert made["reference_mask"] is None
    assert made["reference_image"].shape == (96, 64, 3)
    assert not stage.weights()


def test_an_empty_mask_fails(row: Row) -> None:
    with pytest.raises(BadRow, match=r"NoPerson: a\.png: the mask of its character is empty"):
        ReferenceMaskStage(CharacterMaskConfig(backend=EMBEDDED))(
            {**row, "reference_picture": np.full((200, 400, 3), 128, np.uint8)}
        )


def test_for_other_models_the_picture_stays_as_it_is(row: Row) -> None:
    made = ReferenceCropStage(ReferenceCropConfig())({**row, "model_spec": spec_of(), "picture_mask": None})
    assert made["reference_image"] is row["reference_picture"]
    assert made["reference_keypoints"] is row["picture_keypoints"]
    assert made["reference_mask"] is None
