"""Publication of a finished training run as an embedded checkpoint: half precision, held-out scores, model card."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from jobs.cards.animation import write_card
from jobs.cards.records import recorded_model
from jobs.cards.tables import SHEET
from jobs.evaluation.protocols import Scores, protocol_of
from jobs.recipes.table import RECIPES
from jobs.training.config import network_config
from jobs.training.start import run_weights
from models.animation.animator import Animator
from models.animation.system import LoadOptions, Model
from models.common.checkpoint import fill, read_tensors, save_checkpoint
from models.common.digest import CheckpointError
from models.common.safetensors_file import read_metadata
from models.perception.embedded import EmbeddedFigure
from models.systems import SYSTEMS, find_model
from models.weights.resolve import shipped_path

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedRun:
    """A finished run: model, last weights and their metadata."""

    url: str
    model: Model
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, Any]

    def network(self) -> nn.Module:
        """The network with weights rounded to half precision, as published. Raises CheckpointError."""
        network = self.model.new_network()
        fill(network, {key: tensor.half().float() for key, tensor in self.tensors.items()}, Path(self.url))
        return network.eval()

    def animator(self) -> Animator:
        """Animator of `network`, in single precision."""
        return new_animator(self.network(), self.model)


def publish(
    run: str,
    out: Path | None = None,
    *,
    heldout: Mapping[str, Any] = MappingProxyType({}),
    compare: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Scores]:
    """Write the last weights of a run to `out`, with scores in their metadata, and beside them `CARD.md` and the
    contact sheet of the model's evaluation (`jobs.evaluation.protocols`), if it has one.

    The model is read from the weights' metadata. All runs are sampled with the defaults of the embedded models.

    Args:
        run: `--out` of the run, or a `.safetensors` file.
        out: path of the checkpoint; None: that of the embedded model.
        heldout: fields of the evaluation's configuration that differ from its defaults, such as `num_pairs`.
        compare: name -> another run of an embedded model, possibly with another network configuration (an ablation). If
            not empty, all runs are scored in all settings and compared in the card.

    Raises:
        CheckpointError: a run has no weights or names no model, the network of `run` is not that of the embedded model,
            or a compared model has another evaluation.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    trained = read_run(run)
    model = find_model(trained.model.name)
    card = RECIPES[model.system.name].card
    if card is None:
        raise CheckpointError(f"the recipe of {model.name} has no card; add one to publish it")
    if trained.model.variant.config != model.variant.config:
        raise CheckpointError(
            f"{run} has another network than the {model.name} that ships; train one without --set model.network, and "
            "give this one with --compare"
        )
    # Open all runs before scoring, which takes minutes.
    compared = [(name, read_run(other)) for name, other in compare.items()]
    protocol = protocol_of(model)
    for name, other in compared:
        if (others := protocol_of(other.model)) is not protocol:
            raise CheckpointError(
                f"--compare {name}: {other.model.name} is scored on {others.name}, {model.name} on {protocol.name}; "
                "compare runs of models with the same evaluation"
            )
    named = [("this checkpoint", trained), *compared]
    settings = protocol.settings_compared if compare else protocol.settings
    configs = [protocol.config(setting=setting, **heldout) for setting in settings]
    scored = _scored([each for _, each in named], configs)
    comparison = [_compared(*each, scores) for each, scores in zip(named, scored, strict=True)] if compare else []
    path = shipped_path(model.variant.weights) if out is None else out
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {**trained.metadata, "scores": scored[0], "comparison": comparison}
    save_checkpoint(trained.tensors, path, metadata=metadata, float_dtype=torch.float16)
    if protocol.sheet is not None:
        protocol.sheet(path.with_name(SHEET), trained.animator(), trained.model, configs[0])
    write_card(path, card)
    return scored[0]


def read_run(run: str) -> TrainedRun:
    """Load the last weights of a run, given by its `--out` or a `.safetensors` file.

    Raises:
        CheckpointError: the run has no weights, or they are not of an embedded model.
    """
    if (location := run_weights(run)) is None:
        raise CheckpointError(f"{run} is no run with a checkpoint; give the --out of `zoetrope train MODEL`")
    storage, name = location
    try:
        with storage.fetched(name) as path:
            tensors, metadata = read_tensors(path), read_metadata(path)
    except FileNotFoundError:
        raise CheckpointError(f"no checkpoint at {run}") from None
    runs: Any = metadata.get("runs")
    last = runs[-1] if runs and "model" in runs[-1] else None
    publishable = [name for system in SYSTEMS.values() for name, variant in system.variants.items() if variant.ships]
    if last is None or recorded_model(last) not in publishable:
        named = "no model" if last is None else recorded_model(last)
        raise CheckpointError(
            f"the weights of {run} name {named}; expected {' or '.join(publishable)}, as `zoetrope train` writes them"
        )
    model = find_model(recorded_model(last))
    network = network_config(model, last["model"]["network"])
    defaults = model.variant.config
    sampling = {field: getattr(defaults, field) for field in ("windows", "num_steps", "guidance_scale")}
    return TrainedRun(
        url=storage.url_of(name),
        model=replace(model, variant=replace(model.variant, config=replace(network, **sampling))),
        tensors=tensors,
        metadata=metadata,
    )


def new_animator(network: nn.Module, model: Model) -> Animator:
    """Animator of a network of a model that ships, in single precision."""
    return model.animator(network, model.encoders.load_from(None), LoadOptions(dtype="float32"))


def heldout_scores(network: nn.Module, config: Any, model: Model) -> Scores:
    """Scores of a network of a model that ships, on one core. `config`: that of the model's evaluation."""
    torch.set_num_threads(1)
    return protocol_of(model).scores(new_animator(network, model), model, config, EmbeddedFigure())


def _scored(runs: Sequence[TrainedRun], configs: Sequence[Any]) -> list[dict[str, Scores]]:
    """Scores of each run by setting, computed in one process per core."""
    jobs = [(run, config) for run in runs for config in configs]
    processes = min(os.cpu_count() or 1, len(jobs))
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        scores = iter(pool.map(_scores_of, *zip(*jobs, strict=True)))
        return [{config.setting: next(scores) for config in configs} for _ in runs]


def _scores_of(run: TrainedRun, heldout: Any) -> Scores:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    scores = heldout_scores(run.network(), heldout, run.model)
    logger.info("%s, %s: %s", run.url, heldout.setting, json.dumps(scores))
    return scores


def _compared(name: str, run: TrainedRun, scores: Mapping[str, Scores]) -> dict[str, Any]:
    """Row of the card's comparison, with amounts of training data, which must be equal for a fair comparison."""
    runs, samples = run.metadata["runs"], dict[str, int]()
    for record in runs:
        model = recorded_model(record)
        samples[model] = samples.get(model, 0) + record["steps"] * record["recipe"]["batch_size"]
    return {
        "name": name,
        "training": ", ".join(f"{model} {count}" for model, count in samples.items()),
        "clips": max(record["clips"] for record in runs),
        "scores": scores,
    }
