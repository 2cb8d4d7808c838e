"""From a finished training run to the checkpoint that ships: half precision, scores on held-out puppets, a card."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from jobs.engine.config import validated
from jobs.evaluation.heldout import SETTINGS, HeldoutConfig, Setting, animate_heldout, animation_scores
from jobs.recipes.animate_anyone import AnimateAnyoneModel
from jobs.recipes.animate_x import AnimateXModel
from jobs.training.model import ModelConfig
from jobs.training.start import run_weights
from models.animate_anyone import card as animate_anyone_card
from models.animate_anyone import weights as animate_anyone_weights
from models.animate_x import card as animate_x_card
from models.animate_x import weights as animate_x_weights
from models.common.checkpoint import CheckpointError, fill, read_metadata, read_tensors, save_checkpoint
from models.perception.embedded import EmbeddedFigure
from stages.animate.models import DEFAULT_MODEL, EMBEDDED_ANIMATE_X, MODELS

logger = logging.getLogger(__name__)

Scores = dict[str, float]
EMBEDDED_SIZE = "embedded"
ALONE: tuple[Setting, ...] = ("exact", "retargeted", "anthropomorphic")
"""Settings in which a checkpoint is measured that is compared with no other."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddedSystem:
    """A system of which a checkpoint ships.

    `model`: of its training runs. `name`: in `stages.animate.models.MODELS`. `checkpoint`: the one that ships.
    `write_card`: beside a checkpoint.
    """

    model: type[ModelConfig]
    name: str
    checkpoint: Path
    write_card: Callable[[Path], None]


SYSTEMS: Mapping[str, EmbeddedSystem] = MappingProxyType(
    {
        system.model.name: system
        for system in (
            EmbeddedSystem(
                model=AnimateAnyoneModel,
                name=DEFAULT_MODEL,
                checkpoint=animate_anyone_weights.CHECKPOINT,
                write_card=animate_anyone_card.write_card,
            ),
            EmbeddedSystem(
                model=AnimateXModel,
                name=EMBEDDED_ANIMATE_X,
                checkpoint=animate_x_weights.CHECKPOINT,
                write_card=animate_x_card.write_card,
            ),
        )
    }
)
"""By the name that their training runs have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedRun:
    """What a run came to: its network's shape, its last weights, and what these say of the runs that made them."""

    where: str
    model: ModelConfig
    tensors: Mapping[str, Tensor]
    about: Mapping[str, Any]

    def network(self) -> nn.Module:
        """With its weights in half precision, as they ship. Raises CheckpointError."""
        network = self.model.new_network()
        fill(network, {key: tensor.half().float() for key, tensor in self.tensors.items()}, Path(self.where))
        return network.eval()


def publish_embedded(
    run: str, out: Path | None = None, *, heldout: HeldoutConfig, compare: Mapping[str, str] = MappingProxyType({})
) -> dict[Setting, Scores]:
    """Write the last weights of the run (its `--out`, or a `.safetensors` file) to `out`, with scores and `CARD.md`.

    Which system it is of, its weights say. It and what it is compared with are measured as what ships is sampled,
    whatever was the default when they were trained.

    Args:
        out: None: where that system's checkpoint ships.
        heldout: on which pairs it is measured; its setting is not looked at.
        compare: name -> another run, of any system and of any shape of the embedded size, as an ablation is. With one,
            all are measured in all `SETTINGS`, and the card has a table of them.

    Raises:
        CheckpointError: a run has no weights, or does not say of which system; `run` is not of the network that ships.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    trained = read_run(run)
    system = SYSTEMS[trained.model.name]
    ships = system.model()
    if trained.model.shape != ships.shape:
        raise CheckpointError(
            f"{run} is of a network of another shape than the {trained.model.name} that ships; train one without "
            "--set model.network, and give this one with --compare"
        )
    # All are opened before the first is measured, which takes its time.
    others = [(name, read_run(other)) for name, other in compare.items()]
    settings = SETTINGS if compare else ALONE
    named = [("this checkpoint", trained), *others]
    measured = _measured([each for _, each in named], heldout, settings)
    scores = measured[0]
    comparison = [_compared(*each, found) for each, found in zip(named, measured, strict=True)] if compare else []
    path = system.checkpoint if out is None else out
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {**trained.about, "scores": scores, "comparison": comparison}
    save_checkpoint(trained.tensors, path, metadata=about, float_dtype=torch.float16)
    system.write_card(path)
    return scores


def read_run(run: str) -> TrainedRun:
    """The last weights of a run: its `--out`, or a `.safetensors` file.

    Its network is sampled as the one of its system that ships.

    Raises:
        CheckpointError: there are none, or they are not of the embedded size of a system that ships.
    """
    if (found := run_weights(run)) is None:
        raise CheckpointError(f"{run} is no run with a checkpoint; give the --out of `zoetrope train SYSTEM`")
    storage, name = found
    try:
        with storage.fetched(name) as path:
            tensors, about = read_tensors(path), read_metadata(path)
    except FileNotFoundError:
        raise CheckpointError(f"no checkpoint at {run}") from None
    runs: Any = about.get("runs")
    model = runs[-1].get("model") if runs else None
    if model is None or model["name"] not in SYSTEMS or model["size"] != EMBEDDED_SIZE:
        said = "no system" if model is None else f"{model['name']}, size {model['size']}"
        raise CheckpointError(
            f"the weights of {run} name {said}; expected the embedded size of {' or '.join(SYSTEMS)}, as "
            "`zoetrope train` writes them"
        )
    config = validated({"size": model["size"], "network": model["network"]}, SYSTEMS[model["name"]].model)
    ships = SYSTEMS[model["name"]].model().shape
    sampled = {name: getattr(ships, name) for name in ("windows", "num_steps", "guidance_scale")}
    config = replace(config, network=replace(config.shape, **sampled))
    return TrainedRun(where=storage.url_of(name), model=config, tensors=tensors, about=about)


def heldout_scores(network: nn.Module, config: HeldoutConfig, *, system: str = AnimateAnyoneModel.name) -> Scores:
    """`animation_scores` of a network of a system, with the embedded VAE and image encoder, on one core."""
    torch.set_num_threads(1)
    embedded = SYSTEMS[system]
    model = embedded.model()
    animator = model.animator(network, model.frozen(), device=torch.device("cpu"))
    return animation_scores(animate_heldout(animator, MODELS[embedded.name], config), EmbeddedFigure())


def _measured(
    runs: Sequence[TrainedRun], heldout: HeldoutConfig, settings: Sequence[Setting]
) -> list[dict[Setting, Scores]]:
    """Of each run, in as many processes as there are cores."""
    jobs = [(run, replace(heldout, setting=setting)) for run in runs for setting in settings]
    processes = min(os.cpu_count() or 1, len(jobs))
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = iter(pool.map(_scores_of, *zip(*jobs, strict=True)))
        return [{setting: next(found) for setting in settings} for _ in runs]


def _scores_of(run: TrainedRun, heldout: HeldoutConfig) -> Scores:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    scores = heldout_scores(run.network(), heldout, system=run.model.name)
    logger.info("%s, %s: %s", run.where, heldout.setting, json.dumps(scores))
    return scores


def _compared(name: str, run: TrainedRun, scores: Mapping[Setting, Scores]) -> dict[str, Any]:
    """An entry of the card's table. What each learned from is beside what it scores: to compare is fair where they are
    the same.
    """
    runs, samples = run.about["runs"], dict[str, int]()
    for one in runs:
        system = one["model"]["name"]
        samples[system] = samples.get(system, 0) + one["steps"] * one["recipe"]["batch_size"]
    return {
        "name": name,
        "training": ", ".join(f"{system} {count}" for system, count in samples.items()),
        "clips": max(one["clips"] for one in runs),
        "scores": scores,
    }
