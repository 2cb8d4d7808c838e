"""Held-out evaluation of the models that ship: which puppets, which scores, which contact sheet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.evaluation.heldout import SETTINGS, HeldoutConfig, Setting, animate_heldout, animation_scores
from jobs.evaluation.portrait_scores import portrait_scores
from jobs.evaluation.portrait_sheet import portrait_sheet
from jobs.evaluation.portraits import PORTRAIT_SETTINGS, PortraitHeldoutConfig, animate_portraits
from jobs.evaluation.scene_scores import scene_scores
from jobs.evaluation.scene_sheet import scene_sheet
from jobs.evaluation.scenes import SCENE_SETTINGS, SceneHeldoutConfig, animate_scenes
from models.animation.animator import Animator
from models.animation.system import Model
from models.perception.embedded import EmbeddedFigure

Scores = dict[str, float]

ALONE: tuple[Setting, ...] = ("exact", "retargeted", "anthropomorphic")
"""Settings of pairs in two sceneries, for a checkpoint that is not compared with other runs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """One kind of held-out evaluation.

    Args:
        name: for messages.
        config: dataclass of its settings, with the field `setting`.
        settings: values of that field. `settings_compared`: those where runs are compared.
        scores: mean scores of a model in one setting.
        sheet: writes a contact sheet; None: there is none.
    """

    name: str
    config: Callable[..., Any]
    settings: Sequence[str]
    settings_compared: Sequence[str]
    scores: Callable[[Animator, Model, Any, EmbeddedFigure], Scores]
    sheet: Callable[[Path, Animator, Model, Any], None] | None = None


def _pair_scores(animator: Animator, model: Model, config: HeldoutConfig, figure: EmbeddedFigure) -> Scores:
    return animation_scores(animate_heldout(animator, model, config), figure)


def _scene_scores(animator: Animator, model: Model, config: SceneHeldoutConfig, figure: EmbeddedFigure) -> Scores:
    return scene_scores(animate_scenes(animator, model, config), figure)


def _portrait_scores(animator: Animator, model: Model, config: PortraitHeldoutConfig, figure: EmbeddedFigure) -> Scores:
    return portrait_scores(animate_portraits(animator, model, config), figure)


PAIRS = Protocol(
    name="pairs in two sceneries",
    config=HeldoutConfig,
    settings=ALONE,
    settings_compared=SETTINGS,
    scores=_pair_scores,
)
SCENES = Protocol(
    name="characters set into a video's scene",
    config=SceneHeldoutConfig,
    settings=SCENE_SETTINGS,
    settings_compared=SCENE_SETTINGS,
    scores=_scene_scores,
    sheet=scene_sheet,
)
PORTRAITS = Protocol(
    name="portraits before moving scenery",
    config=PortraitHeldoutConfig,
    settings=PORTRAIT_SETTINGS,
    settings_compared=PORTRAIT_SETTINGS,
    scores=_portrait_scores,
    sheet=portrait_sheet,
)


def protocol_of(model: Model) -> Protocol:
    """The evaluation for what the model reads."""
    if model.variant.keeps_scene:
        return SCENES
    return PORTRAITS if model.variant.reads_face else PAIRS
