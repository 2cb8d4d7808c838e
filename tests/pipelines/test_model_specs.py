from __future__ import annotations

from pathlib import Path

import pytest
from toy_animation import face_model, spec_of

from models.animation.signals import FACE_CONTROL
from models.systems import FORMER_NAMES, find_model, model_names
from pipelines.model_specs import ModelSpec, describe_model
from stages.outcome import Reason


@pytest.mark.parametrize("name", model_names())
def test_a_model_is_described_by_its_variant(name: str, tmp_path: Path) -> None:
    spec, variant = describe_model(name, str(tmp_path)), find_model(name).variant
    assert (spec.name, spec.pose_preset, spec.short_side_px) == (
        name,
        variant.config.pose_preset,
        variant.short_side_px,
    )
    assert set(spec.signals) == variant.needs
    assert spec.columns()["keeps_scene"] == variant.keeps_scene
    assert (spec.face_form is None) == (FACE_CONTROL not in variant.needs)
    assert (spec.digest is None) == (spec.reason is Reason.MISSING_WEIGHTS) == (not variant.ships)


def test_the_form_of_the_face_is_that_of_the_network() -> None:
    assert spec_of(face_model())["face_form"] == "patches"
    assert spec_of(face_model(form="landmarks"))["face_form"] == "landmarks"
    assert spec_of()["face_form"] is None


def test_missing_weights_name_the_small_model_where_there_is_one(tmp_path: Path) -> None:
    message = str(describe_model("animate-anyone", str(tmp_path)).message)
    assert "denoising_unet.pth" in message
    assert "(The model that ships with the project is animate-anyone-puppets.)" in message
    assert "ships with" not in str(describe_model("musepose", str(tmp_path)).message)


def test_a_former_name_is_described_as_todays() -> None:
    for former, name in FORMER_NAMES.items():
        assert describe_model(former, None) == describe_model(name, None)


def test_an_unknown_name_is_an_outcome() -> None:
    spec = describe_model("animate-z", None)
    assert (spec.name, spec.digest, spec.reason) == ("animate-z", None, Reason.UNKNOWN_MODEL)
    assert "did you mean animate-x?" in str(spec.message)
    assert ModelSpec(name="x").columns()["reason"] is None
