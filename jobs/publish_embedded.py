"""From a finished training run to the embedded Animate Anyone: half precision, scores on held-out puppets, a card."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from jobs.animation_scores import KEYPOINT_SHARE, HeldoutConfig, animate_heldout, animation_scores
from jobs.training.animate_anyone import own_weights
from models.animate_anyone.animator import AnimateAnyoneAnimator
from models.animate_anyone.network import AnimateAnyone
from models.animate_anyone.weights import CHECKPOINT, load_embedded
from models.appearance.image_encoder import embedded_image_encoder
from models.appearance.vae import embedded_vae
from models.common.checkpoint import CheckpointError, file_digest, read_metadata, read_tensors, save_checkpoint
from models.perception.embedded import EmbeddedFigure
from stages.animation_models import DEFAULT_MODEL, MODELS

logger = logging.getLogger(__name__)

_ROWS = (
    ("psnr_db", "PSNR of the animation, dB", ""),
    ("psnr_repeat_db", "PSNR of the reference repeated, dB", ""),
    ("psnr_gain_db", "gain over the reference repeated, dB", "3"),
    ("keypoints", f"keypoints found within {KEYPOINT_SHARE:g} of the character's size", "0.80"),
    ("keypoints_repeat", "the same in the reference repeated", ""),
    ("keypoints_truth", "the same in the true frames: all that can be reached", ""),
)


def publish_embedded(run: str, out: Path = CHECKPOINT, *, heldout: HeldoutConfig) -> dict[str, float]:
    """Write the last weights of the run (its `--out`, or a `.safetensors` file) to `out`, with scores and `CARD.md`.

    Raises:
        CheckpointError: there are none, or they are of another network.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    if (where := own_weights(run)) is None:
        raise CheckpointError(f"{run} holds published files, expected a run of `zoetrope train animate-anyone`")
    storage, name = where
    with storage.fetched(name) as path:
        tensors, about = read_tensors(path), read_metadata(path)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(tensors, out, metadata=about, float_dtype=torch.float16)
    scores = heldout_scores(load_embedded(out), heldout)
    logger.info("held-out scores: %s", json.dumps(scores))
    save_checkpoint(tensors, out, metadata={**about, "scores": scores}, float_dtype=torch.float16)
    (out.parent / "CARD.md").write_text(card(out), encoding="utf-8")
    return scores


def heldout_scores(network: AnimateAnyone, config: HeldoutConfig) -> dict[str, float]:
    """`animation_scores` of a network with the embedded VAE and image encoder, on one core."""
    torch.set_num_threads(1)
    animator = AnimateAnyoneAnimator(
        DEFAULT_MODEL, network=network, vae=embedded_vae(), image_encoder=embedded_image_encoder()
    )
    animations = animate_heldout(animator, MODELS[DEFAULT_MODEL], config)
    return animation_scores(animations, EmbeddedFigure())


def card(path: Path) -> str:
    """The card of an embedded checkpoint, by its own metadata."""
    about: Mapping[str, Any] = read_metadata(path)
    scores = about["scores"]
    runs = "\n".join(
        f"| {run['stage']} | {run['steps']} | {run['clips']} | {run['minutes']} | {run['date']} | {run['machine']} |"
        for run in about["runs"]
    )
    rows = "\n".join(f"| {what} | {scores[key]:.2f} | {promised} |" for key, what, promised in _ROWS)
    recipes = "\n".join(f"- stage {r['stage']}: `{json.dumps(r['recipe'], sort_keys=True)}`" for r in about["runs"])
    return f"""# Embedded Animate Anyone

It knows drawn puppets only, at 128 pixels: of people, animals and photographs it makes nothing good.

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
