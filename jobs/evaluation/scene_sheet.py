"""Contact sheet of a model that keeps the scene: one held-out pair of each kind of interaction."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from jobs.evaluation.scenes import SceneAnimation, SceneAnimator, SceneHeldoutConfig
from models.animation.animator import Animator
from models.animation.system import Model
from models.common.atomic import atomic_path
from models.puppets import INTERACTIONS, sample_scene_pair

MAX_BYTES = 300_000
_QUALITIES = (90, 80, 70, 55, 40, 20)
_HEADER_PX = 16
_COLUMNS = ("reference", "driving", "environment", "draft", "result", "truth")


def contact_sheet(path: Path, animator: Animator, model: Model, config: SceneHeldoutConfig) -> None:
    """Write a WebP picture of at most `MAX_BYTES`: a row per interaction, with the middle frame of its clip.

    The setting is "scene-exact". Columns: reference, driving frame, environment, draft, result, truth.

    Raises:
        ValueError: the picture is larger even at the lowest quality.
    """
    scenes = SceneAnimator(animator, model, replace(config, setting="scene-exact"))
    rows = []
    for seed, kind in enumerate(INTERACTIONS, start=config.first_seed):
        pair = sample_scene_pair(seed, size_px=config.size_px, duration_seconds=config.duration_seconds, kind=kind)
        rows.append(_row(scenes.animate(pair, seed=seed)))
    data = _encoded(_with_header(np.concatenate(rows)))
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def _row(animation: SceneAnimation) -> NDArray[np.uint8]:
    middle = len(animation.animation_THWC) // 2
    pictures = (
        animation.reference_HWC,
        animation.truth.driving[middle].rgb,
        animation.environment_THWC[middle],
        animation.draft_THWC[middle],
        animation.animation_THWC[middle],
        animation.truth.target[middle].rgb,
    )
    return np.concatenate(pictures, axis=1)


def _with_header(rows_HWC: NDArray[np.uint8]) -> Image.Image:
    """The rows below the columns' names."""
    height, width = rows_HWC.shape[:2]
    sheet = Image.new("RGB", (width, height + _HEADER_PX), "white")
    sheet.paste(Image.fromarray(rows_HWC), (0, _HEADER_PX))
    draw = ImageDraw.Draw(sheet)
    for column, name in enumerate(_COLUMNS):
        draw.text((column * width // len(_COLUMNS) + 4, 2), name, fill="black")
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
