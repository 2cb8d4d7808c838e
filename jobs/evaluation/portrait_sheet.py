"""Contact sheet of a model that reads faces: held-out portraits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from jobs.evaluation.contact_sheet import write_sheet
from jobs.evaluation.portraits import Frames, PortraitAnimation, PortraitAnimator, PortraitHeldoutConfig
from models.animation.animator import Animator
from models.animation.system import Model
from models.puppets import sample_portrait_pair

NUM_ROWS = 6
_COLUMNS = ("reference", "driving", "face control", "Animate Anyone", "X-Dyna", "truth")


def portrait_sheet(path: Path, animator: Animator, model: Model, config: PortraitHeldoutConfig) -> None:
    """Write a row per pair, with the frame of its clip that differs most from the reference.

    The setting is "portrait-exact". Columns: reference, driving frame, face control (face box below, patches bright),
    the compared model, result, truth.
    """
    portraits = PortraitAnimator(animator, model, replace(config, setting="portrait-exact"))
    rows = []
    for seed in range(config.first_seed, config.first_seed + NUM_ROWS):
        pair = sample_portrait_pair(seed, size_px=config.size_px, duration_seconds=config.duration_seconds)
        rows.append(_row(portraits.animate(pair, seed=seed)))
    write_sheet(path, rows, _COLUMNS)


def _row(animation: PortraitAnimation) -> tuple[Frames, ...]:
    truth = np.stack([frame.rgb for frame in animation.truth])
    moved = np.abs(truth.astype(np.int16) - truth[0]).mean(axis=(1, 2, 3))
    frame = int(moved.argmax())
    local, box = animation.face_THWC6[frame, ..., :3], animation.face_THWC6[frame, ..., 3:]
    return (
        truth[0],
        animation.driving_THWC[frame],
        np.where(local.any(axis=2, keepdims=True), local, box // 2),
        animation.compared_THWC[frame],
        animation.animation_THWC[frame],
        truth[frame],
    )
