"""The card of the embedded Animate Anyone: how it was made and what it scores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.common.checkpoint import file_digest, read_metadata

_ROWS = (
    ("psnr_db", "PSNR of the animation, dB", ""),
    ("psnr_repeat_db", "PSNR of the reference repeated, dB", ""),
    ("psnr_gain_db", "gain over the reference repeated, dB", "3"),
    ("keypoints", "keypoints found within 0.15 of the character's size", "0.80"),
    ("keypoints_repeat", "the same in the reference repeated", ""),
    ("keypoints_truth", "the same in the true frames: all that can be reached", ""),
)


def write_card(path: Path) -> None:
    """Write `CARD.md` beside the checkpoint at `path`, from what its own metadata say.

    Raises:
        CheckpointError: it is absent.
    """
    about: Mapping[str, Any] = read_metadata(path)
    scores = about["scores"]
    runs = "\n".join(
        f"| {run['stage']} | {run['steps']} | {run['clips']} | {run['minutes']} | {run['date']} | {run['machine']} |"
        for run in about["runs"]
    )
    rows = "\n".join(f"| {what} | {scores[key]:.2f} | {promised} |" for key, what, promised in _ROWS)
    recipes = "\n".join(f"- stage {r['stage']}: `{json.dumps(r['recipe'], sort_keys=True)}`" for r in about["runs"])
    text = f"""# Embedded Animate Anyone

It knows drawn puppets only, at {scores["short_side_px"]:.0f} pixels: of people, animals and photographs it makes
nothing good.

`{path.name}`: {path.stat().st_size} bytes, `{file_digest(path)}`, stored in half precision.

Trained by `zoetrope train animate-anyone` on puppet videos drawn by `zoetrope puppets`, taken through `zoetrope ingest`
and `zoetrope prepare`; nothing else was seen. Frozen with it: the embedded VAE and image encoder
(`models/appearance/checkpoints`).

| stage | steps | clips | minutes | date | machine |
|---|---|---|---|---|---|
{runs}

{recipes}

Scores on {scores["pairs"]:.0f} pairs of held-out puppets, characters and motions of no training video: one is animated
by the motion of another, through the embedded pose network and retargeting, and compared with what it truly looks like
in that motion.

| what | score | promised |
|---|---|---|
{rows}

Licence: Apache-2.0, like the project.
"""
    (path.parent / "CARD.md").write_text(text, encoding="utf-8")
