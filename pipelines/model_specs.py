"""Models as planning reads them: a name becomes the columns that a request's stages need. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.animation.signals import FACE_CONTROL
from models.animation.system import SIZE_MULTIPLE, Model
from models.systems import UnknownModelError, find_model, model_names
from models.weights.resolve import MissingWeightsError
from stages.outcome import Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSpec:
    """A model that a request names.

    `name`: today's, where the request gives a former one. `digest`: None where the model cannot be loaded; `reason` and
    `message` then say why.
    """

    name: str
    digest: str | None = None
    pose_preset: str | None = None
    short_side_px: int | None = None
    signals: tuple[str, ...] = ()
    keeps_scene: bool = False
    face_form: str | None = None
    reason: Reason | None = None
    message: str | None = None

    def columns(self) -> dict[str, Any]:
        """The fields of the column `model_spec`."""
        return {
            "pose_preset": self.pose_preset,
            "size_multiple": SIZE_MULTIPLE,
            "short_side_px": self.short_side_px,
            "signals": list(self.signals),
            "keeps_scene": self.keeps_scene,
            "face_form": self.face_form,
            "reason": self.reason,
            "message": self.message,
        }


def describe_model(name: str, weights: str | None) -> ModelSpec:
    """The model of this name. `weights`: folder of published weights."""
    try:
        return model_spec(find_model(name), weights)
    except UnknownModelError as error:
        return ModelSpec(name=name, reason=Reason.UNKNOWN_MODEL, message=str(error))


def model_spec(model: Model, weights: str | None) -> ModelSpec:
    """The columns of a model. `weights`: folder of published weights."""
    variant = model.variant
    digest = reason = message = None
    try:
        digest = model.digest(weights)
    except MissingWeightsError as error:
        reason, message = Reason.MISSING_WEIGHTS, str(error)
        if (small := f"{model.name}-puppets") in model_names():
            message += f". (The model that ships with the project is {small}.)"
    return ModelSpec(
        name=model.name,
        digest=digest,
        pose_preset=variant.config.pose_preset,
        short_side_px=variant.short_side_px,
        signals=tuple(sorted(variant.needs)),
        keeps_scene=variant.keeps_scene,
        face_form=_face_form(model),
        reason=reason,
        message=message,
    )


def _face_form(model: Model) -> str | None:
    """Form of the face that the model reads; None if it reads none."""
    variant = model.variant
    return variant.config.face_form if FACE_CONTROL in variant.needs else None
