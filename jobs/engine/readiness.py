"""Check of all models and weights of a job before anything starts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from models.animation.system import Model
from models.catalogue import entry
from models.common.digest import CheckpointError
from models.weights.entry import Loader, Weights
from models.weights.integrity import integrity_error
from models.weights.resolve import MissingWeightsError, can_fetch, find, locate
from stages.backends.base import PEOPLE, BackendConfig
from stages.backends.trained import opened

ONNX_PACKAGES = ("onnxruntime", "onnxruntime-gpu")
TORCHSCRIPT_OPTION = "--allow-torchscript"
NO_ONNX = "the package onnxruntime (pip install -e '.[onnx]')"

PUPPETS_HINT = "For videos of puppets, the networks that ship with the project do: --preset puppets"
"""Hint where the weights `PEOPLE` are missing, which nobody need have asked for."""


def check_ready(networks: Iterable[BackendConfig], models: Iterable[Model] = (), weights: str | None = None) -> None:
    """Check that this machine has all weights of a job, and the packages that open them.

    Args:
        networks: perception networks of the job.
        models: its animation models.
        weights: folder of the weights of `models`.

    Raises:
        MissingWeightsError: something is missing or damaged. The message names all of it, and the commands that get it.
    """
    wanted: dict[tuple[str, str | None], Weights] = {}
    needs: dict[str, None] = {}
    for config in networks:
        if config.trained is not None:
            needs |= dict.fromkeys(_trained_problems(config))
        entries = [entry(name) for name in config.parts]
        needs |= dict.fromkeys(missing_means(entries, allow_torchscript=config.allow_torchscript))
        folder = None if config.weights is None else Path(config.weights)
        entries = [part for part in entries if not (config.download and can_fetch(part))]
        wanted |= {(part.name, config.weights): part for part in entries}
    wanted |= {(part.name, weights): part for model in models for part in model.weights}
    fetched: dict[str | None, list[str]] = {}
    for (name, place), part in wanted.items():
        folder = None if place is None else Path(place)
        damaged = [path for path in locate(part, folder).values() if path is not None and integrity_error(path)]
        needs |= {f"{path} {integrity_error(path)}; delete it, and fetch {name} again": None for path in damaged}
        try:
            find(part, folder)
        except MissingWeightsError as error:
            if can_fetch(part):
                fetched.setdefault(place, []).append(name)
            else:
                needs[str(error)] = None
    for place, names in fetched.items():
        option = "" if place is None else f" --weights {place}"
        command = f"`zoetrope weights fetch {' '.join(names)}{option}` downloads them{_total_size(names)}"
        needs[f"the weights {', '.join(names)} ({command}, `zoetrope weights where` names their places)"] = None
    if needs:
        hint = f". {PUPPETS_HINT}" if any(PEOPLE in names for names in fetched.values()) else ""
        raise MissingWeightsError("this job needs " + "; and ".join(needs) + hint)


def _trained_problems(config: BackendConfig) -> list[str]:
    included = config.backends[config.backend].included
    assert included is not None  # of every backend that takes trained networks
    try:
        with opened(config.trained, included):
            return []
    except CheckpointError as error:
        return [f"a network that can be used: {error}"]


def _total_size(names: Sequence[str]) -> str:
    sizes_bytes = [entry(name).size_bytes for name in names]
    return "" if None in sizes_bytes else f", {sum(filter(None, sizes_bytes)) / 1e6:.0f} MB"


def missing_means(entries: Sequence[Weights], *, allow_torchscript: bool) -> list[str]:
    """Options and packages without which entries cannot be opened."""
    missing = []
    if not allow_torchscript and any(part.loader is Loader.TORCHSCRIPT for part in entries):
        missing.append(TORCHSCRIPT_OPTION)
    if any(part.loader is Loader.ONNX for part in entries) and not any(map(installed, ONNX_PACKAGES)):
        missing.append(NO_ONNX)
    return missing


def installed(package: str) -> str | None:
    """Version of an installed package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
