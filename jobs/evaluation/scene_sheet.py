"""Contact sheet of a model that keeps the scene: one held-out pair of each kind of interaction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from jobs.evaluation.contact_sheet import write_sheet
from jobs.evaluation.scenes import Frames, SceneAnimation, SceneAnimator, SceneHeldoutConfig
from models.animation.animator import Animator
from models.animation.system import Model
from models.puppets import INTERACTIONS, sample_scene_pair

_COLUMNS = ("reference", "driving", "environment", "draft", "result", "truth")


def scene_sheet(path: Path, animator: Animator, model: Model, config: SceneHeldoutConfig) -> None:
    """Write a row per interaction, with the middle frame of its clip.

    The setting is "scene-exact". Columns: reference, driving frame, environment, draft, result, truth.
    """
    scenes = SceneAnimator(animator, model, replace(config, setting="scene-exact"))
    rows = []
    for seed, kind in enumerate(INTERACTIONS, start=config.first_seed):
        pair = sample_scene_pair(seed, size_px=config.size_px, duration_seconds=config.duration_seconds, kind=kind)
        rows.append(_row(scenes.animate(pair, seed=seed)))
    write_sheet(path, rows, _COLUMNS)


def _row(animation: SceneAnimation) -> tuple[Frames, ...]:
    middle = len(animation.animation_THWC) // 2
    return (
        animation.reference_HWC,
        animation.truth.driving[middle].rgb,
        animation.environment_THWC[middle],
        animation.draft_THWC[middle],
        animation.animation_THWC[middle],
        animation.truth.target[middle].rgb,
    )
