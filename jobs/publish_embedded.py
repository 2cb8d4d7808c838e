"""From a finished training run to the embedded Animate Anyone: half precision, scores on held-out puppets, a card."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import torch

from jobs.animation_scores import HeldoutConfig, animate_heldout, animation_scores
from jobs.training.animate_anyone import AnimateAnyoneModel
from jobs.training.start import own_weights
from models.animate_anyone.animator import AnimateAnyoneAnimator
from models.animate_anyone.card import write_card
from models.animate_anyone.config import EMBEDDED
from models.animate_anyone.network import AnimateAnyone
from models.animate_anyone.weights import CHECKPOINT
from models.appearance.image_encoder import embedded_image_encoder
from models.appearance.vae import embedded_vae
from models.common.checkpoint import CheckpointError, fill, read_metadata, read_tensors, save_checkpoint
from models.perception.embedded import EmbeddedFigure
from stages.animation_models import DEFAULT_MODEL, MODELS

logger = logging.getLogger(__name__)


def publish_embedded(run: str, out: Path = CHECKPOINT, *, heldout: HeldoutConfig) -> dict[str, float]:
    """Write the last weights of the run (its `--out`, or a `.safetensors` file) to `out`, with scores and `CARD.md`.

    Raises:
        CheckpointError: there are none, or they are of another network.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    if (where := own_weights(run, AnimateAnyoneModel())) is None:
        raise CheckpointError(f"{run} holds published files, expected a run of `zoetrope train animate-anyone`")
    storage, name = where
    with storage.fetched(name) as path:
        tensors, about = read_tensors(path), read_metadata(path)
    network = AnimateAnyone(EMBEDDED)
    # What is measured is what ships.
    fill(network, {key: tensor.half().float() for key, tensor in tensors.items()}, Path(name))
    scores = heldout_scores(network.eval(), heldout)
    logger.info("held-out scores: %s", json.dumps(scores))
    out.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(tensors, out, metadata={**about, "scores": scores}, float_dtype=torch.float16)
    write_card(out)
    return scores


def heldout_scores(network: AnimateAnyone, config: HeldoutConfig) -> dict[str, float]:
    """`animation_scores` of a network with the embedded VAE and image encoder, on one core."""
    torch.set_num_threads(1)
    animator = AnimateAnyoneAnimator(
        DEFAULT_MODEL, network=network, vae=embedded_vae(), image_encoder=embedded_image_encoder()
    )
    animations = animate_heldout(animator, MODELS[DEFAULT_MODEL], config)
    return animation_scores(animations, EmbeddedFigure())
