"""Held-out portraits with the smallest network: what is scored is what `zoetrope animate` makes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tiny_systems import new_network, tiny_model

from jobs.evaluation import portrait_sheet
from jobs.evaluation.portraits import (
    PORTRAIT_SETTINGS,
    PortraitAnimation,
    PortraitAnimator,
    PortraitHeldoutConfig,
    PortraitSetting,
    animate_portraits,
)
from models.animation.animator import Animator
from models.animation.system import LoadOptions, Model
from models.pose.skeleton import FACE
from stages.outcome import BadRow, Reason

EYES_AND_MOUTH = slice(36, 68)
"""Face landmarks."""
HELDOUT = PortraitHeldoutConfig(num_pairs=1, first_seed=3, size_px=(96, 72), duration_seconds=0.375)


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_model("x-dyna-puppets")


@pytest.fixture(scope="module")
def animator(model: Model) -> Animator:
    return model.animator(new_network(model), model.encoders.load_from(None), LoadOptions(dtype="float32"))


@pytest.fixture(scope="module")
def animations(animator: Animator, model: Model) -> dict[PortraitSetting, PortraitAnimation]:
    made = {}
    for setting in PORTRAIT_SETTINGS:
        (animation,) = animate_portraits(animator, model, replace(HELDOUT, setting=setting))
        assert animation is not None
        made[setting] = animation
    return made


@pytest.mark.parametrize("setting", PORTRAIT_SETTINGS)
def test_both_models_animate_a_request_that_shows_a_face(
    setting: PortraitSetting, animations: dict[PortraitSetting, PortraitAnimation]
) -> None:
    animation = animations[setting]
    for frames in (animation.driving_THWC, animation.animation_THWC, animation.compared_THWC):
        assert (frames.shape, frames.dtype) == ((3, 96, 72, 3), np.uint8)
    assert not np.array_equal(animation.animation_THWC, animation.compared_THWC)
    assert animation.face_THWC6.shape == (3, 96, 72, 6)
    assert animation.face_THWC6.any(axis=(1, 2, 3)).all()


def test_the_true_keypoints_place_the_face_on_the_characters(
    animations: dict[PortraitSetting, PortraitAnimation],
) -> None:
    exact, detected = (animations[setting] for setting in PORTRAIT_SETTINGS)
    assert np.array_equal(exact.truth[1].rgb, detected.truth[1].rgb)
    assert not np.array_equal(exact.face_THWC6, detected.face_THWC6)
    for frame, control in zip(exact.truth, exact.face_THWC6, strict=True):
        # The drawn face is that of the character to animate: the patches cover its eyes and its mouth.
        drawn = np.argwhere(control[..., :3].any(axis=2))[:, ::-1]
        landmarks = frame.keypoints[FACE][EYES_AND_MOUTH, :2]
        height_px = np.ptp(frame.keypoints[FACE][:, 1])
        assert np.abs(drawn.mean(axis=0) - landmarks.mean(axis=0)).max() < 0.25 * height_px
        assert (drawn.min(axis=0) < landmarks.min(axis=0) + 0.1 * height_px).all()
        assert (drawn.max(axis=0) > landmarks.max(axis=0) - 0.1 * height_px).all()


def test_a_pair_that_animate_refuses_is_none(
    animator: Animator, model: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(self: PortraitAnimator, pair: object, *, seed: int) -> PortraitAnimation:
        raise BadRow(Reason.NO_PERSON, f"nobody in {seed}")

    monkeypatch.setattr(PortraitAnimator, "animate", refuse)
    assert list(animate_portraits(animator, model, replace(HELDOUT, num_pairs=2))) == [None, None]
    assert "pair 4: NoPerson, nobody in 4" in caplog.text


def test_the_contact_sheet_has_a_row_per_pair(
    animations: dict[PortraitSetting, PortraitAnimation],
    animator: Animator,
    model: Model,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    monkeypatch.setattr(portrait_sheet, "NUM_ROWS", 2)
    monkeypatch.setattr(PortraitAnimator, "animate", lambda self, pair, seed: animations["portrait-exact"])
    path = tmp_path_factory.mktemp("sheet") / "contact-sheet.webp"
    portrait_sheet.portrait_sheet(path, animator, model, HELDOUT)
    with Image.open(path) as sheet:
        assert sheet.size == (6 * 72, 2 * 96 + 16)
