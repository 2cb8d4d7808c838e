"""Publication of a finished training run: half precision, held-out scores, model card."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import shutil
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
from jobs.training.run_files import PUBLISHED
from jobs.training.trained_models import open_trained
from models.animation.animator import Animator
from models.animation.system import LoadOptions, Model
from models.common.atomic import atomic_path
from models.common.checkpoint import fill, read_tensors, save_checkpoint
from models.common.digest import CheckpointError, shortened
from models.perception.embedded import EmbeddedFigure
from models.systems import find_model
from models.weights.resolve import check_ships_nothing, shipped_path

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedRun:
    """A finished run: model, last weights and their metadata."""

    url: str
    model: Model
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, Any]

    @property
    def kind(self) -> Model:
        """The model by the name that `zoetrope train` took."""
        return find_model(recorded_model(self.metadata["runs"][-1]))

    def network(self) -> nn.Module:
        """The network with weights rounded to half precision, as published. Raises CheckpointError."""
        network = self.model.new_network()
        fill(network, {key: tensor.half().float() for key, tensor in self.tensors.items()}, Path(self.url))
        return network.eval()

    def animator(self) -> Animator:
        """Animator of `network`, in single precision."""
        return new_animator(self.network(), self.model)

    def sampled_as_shipped(self) -> TrainedRun:
        """The run with the sampling of the model that ships, as requests that name it are animated."""
        shipped = self.kind.variant.config
        sampling = {field: getattr(shipped, field) for field in ("windows", "num_steps", "guidance_scale")}
        variant = replace(self.model.variant, config=replace(self.model.variant.config, **sampling))
        return replace(self, model=replace(self.model, variant=variant))


def publish(
    run: str,
    out: Path | None = None,
    *,
    ship: bool = False,
    weights: str | None = None,
    heldout: Mapping[str, Any] = MappingProxyType({}),
    compare: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Scores]:
    """Write the last weights of a run to a folder, which `zoetrope animate --model` takes.

    The folder gets `network.safetensors` in half precision, with scores in its metadata; encoders of the run's own;
    `CARD.md`; and the contact sheet of the model's evaluation (`jobs.evaluation.protocols`), if it has one. Models of
    the released sizes are not scored on puppets.

    Args:
        run: `--out` of the run, or a `.safetensors` file.
        out: the folder; None: `published` in that of the run.
        ship: replace the checkpoint that ships with the project. All runs are then sampled with its defaults.
        weights: folder of published weights, for models whose encoders are published.
        heldout: fields of the evaluation's configuration that differ from its defaults, such as `num_pairs`; no pairs:
            nothing is scored.
        compare: name -> another run of an embedded model, possibly with another network configuration (an ablation). If
            not empty, all runs are scored in all settings and compared in the card.

    Raises:
        CheckpointError: a run has no weights or names no model; its weights are not finite; the network of `run` is not
            the one that ships, with `ship`; or a compared model has another evaluation.
        ValueError: there is no folder to write to, or it is that of weights that ship, without `ship`.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    trained = read_run(run, weights)
    folder = _folder(run, out, trained, ship=ship)
    # Open all runs before scoring, which takes minutes.
    others = {name: read_run(other, weights) for name, other in compare.items()}
    if ship:
        trained, others = (
            trained.sampled_as_shipped(),
            {name: each.sampled_as_shipped() for name, each in others.items()},
        )
        _check_ships(run, trained)
    configs: list[Any] = []
    if trained.kind.variant.ships and heldout.get("num_pairs") != 0:
        protocol = protocol_of(trained.model)
        settings = protocol.settings_compared if compare else protocol.settings
        configs = [protocol.config(setting=setting, **heldout) for setting in settings]
    _check_comparable(trained, others, are_scored=bool(configs))
    named = [("this checkpoint", trained), *others.items()]
    scored = _scored([each for _, each in named], configs) if configs else [{}]
    comparison = [_compared(*each, scores) for each, scores in zip(named, scored, strict=True)] if compare else []
    _write(folder, trained, scored[0], comparison)
    if configs and protocol.sheet is not None:
        protocol.sheet(folder / SHEET, trained.animator(), trained.model, configs[0])
    write_card(folder / PUBLISHED, RECIPES[trained.kind.system.name].card if ship else None)
    logger.info("published: %s", folder)
    return scored[0]


def read_run(run: str, weights: str | None = None) -> TrainedRun:
    """Load the last weights of a run, given by its `--out` or a `.safetensors` file.

    `weights`: folder of published weights, for models whose encoders are published.

    Raises:
        CheckpointError: the run has no weights, they name no model, or they are not finite.
    """
    trained = open_trained(run, weights)
    with trained.storage.fetched(trained.weights) as path:
        tensors = read_tensors(path)
    if broken := [name for name, tensor in tensors.items() if not bool(tensor.half().isfinite().all())]:
        raise CheckpointError(f"{trained.url} holds {len(broken)} tensors that are not finite: {shortened(broken)}")
    return TrainedRun(url=trained.url, model=trained.model, tensors=tensors, metadata=trained.metadata)


def _folder(run: str, out: Path | None, trained: TrainedRun, *, ship: bool) -> Path:
    """Folder to write to. Raises ValueError."""
    if ship:
        if out is not None:
            raise ValueError("--ship writes to the folder of the checkpoint that ships; leave out --out")
        return shipped_path(trained.kind.variant.weights).parent
    if out is None:
        if not Path(run).is_dir():
            raise ValueError(f"{run} is no folder on this machine; give the folder to write to with --out")
        out = Path(run) / "published"
    if out.suffix == ".safetensors":
        raise ValueError(f"--out {out}: expected a folder")
    check_ships_nothing(out)
    return out


def _check_ships(run: str, trained: TrainedRun) -> None:
    kind = trained.kind
    if not kind.variant.ships or RECIPES[kind.system.name].card is None:
        raise CheckpointError(f"no checkpoint of {kind.name} ships with the project; leave out --ship")
    if trained.model.variant.config != kind.variant.config:
        raise CheckpointError(
            f"{run} has another network than the {kind.name} that ships; train one without --set model.network, or "
            "leave out --ship"
        )


def _check_comparable(trained: TrainedRun, others: Mapping[str, TrainedRun], *, are_scored: bool) -> None:
    for name, other in others.items():
        for each in (trained, other):
            if not each.kind.variant.ships:
                raise CheckpointError(f"--compare {name}: {each.kind.name} is not scored on puppets")
        if not are_scored:
            raise ValueError(f"--compare {name}: runs are compared by their scores, of one pair or more")
        own, its = protocol_of(trained.model), protocol_of(other.model)
        if its is not own:
            raise CheckpointError(
                f"--compare {name}: {other.kind.name} is scored on {its.name}, {trained.kind.name} on {own.name}; "
                "compare runs of models with the same evaluation"
            )


def _write(folder: Path, trained: TrainedRun, scores: Mapping[str, Scores], comparison: Sequence[Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model = trained.model
    if model.encoders_folder is not None and model.encoders.ships:
        for source in model.encoders.files(model.encoders_folder):
            with atomic_path(folder / source.name) as temporary:
                shutil.copyfile(source, temporary)
    *earlier, last = trained.metadata["runs"]
    if isinstance(encoders := last.get("encoders"), Mapping):
        last = {**last, "encoders": {**encoders, "folder": None}}  # a path of this machine
    metadata = {**trained.metadata, "runs": [*earlier, last], "scores": scores, "comparison": comparison}
    save_checkpoint(trained.tensors, folder / PUBLISHED, metadata=metadata, float_dtype=torch.float16)


def new_animator(network: nn.Module, model: Model) -> Animator:
    """Animator of a network of a model that ships, in single precision."""
    return model.animator(network, model.encoders.load_from(model.encoders_folder), LoadOptions(dtype="float32"))


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
