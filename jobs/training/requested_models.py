"""Models that the requests of a job name: by name, or by the folder of a trained one. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from jobs.training.trained_models import TrainedModel, open_trained
from models.animation.system import Model
from models.common.digest import CheckpointError
from models.systems import UnknownModelError, find_model
from models.weights.entry import Weights
from models.weights.local import is_path
from pipelines.model_specs import ModelSpec, describe_model, model_spec
from stages.animate.diffusion import LoadableModel
from stages.outcome import Reason


class RequestedModels:
    """Models of a job's requests, described one after the other.

    Args:
        typed: model that the person typed, which may be anywhere.
        folders: folders in which rows of a table may name trained models, by absolute paths.
        weights: folder of published weights.

    `given`: all names, as they were given. `models`: those that were found, by the name in results.
    """

    def __init__(self, *, typed: str | None, folders: Sequence[str], weights: str | None) -> None:
        self._typed, self._weights = typed, weights
        self._folders = [Path(folder).resolve() for folder in folders]
        self._trained: dict[str, tuple[str, TrainedModel]] = {}
        self.given: list[str] = []
        self.models: dict[str, Model] = {}

    def describe(self, given: str) -> ModelSpec:
        """Description of a model; its reason says why it cannot be used."""
        self.given.append(given)
        if is_path(given):
            return self._describe_trained(given)
        try:
            model = find_model(given)
        except UnknownModelError:
            pass
        else:
            self.models[model.name] = model
        return describe_model(given, self._weights)

    @property
    def published(self) -> dict[str, Model]:
        """Requested models that have a name of their own, not that of a folder."""
        return {name: model for name, model in self.models.items() if name not in self._trained}

    @property
    def trained_from(self) -> Iterator[Weights]:
        """Published weights from which the trained models were trained further."""
        return (part for _, trained in self._trained.values() for part in trained.started_from)

    @property
    def loadable(self) -> dict[str, LoadableModel]:
        """Models for workers to load, by the name in results."""
        return {**self.models, **{name: trained for name, (_, trained) in self._trained.items()}}

    def _describe_trained(self, given: str) -> ModelSpec:
        if not self._is_allowed(given):
            return ModelSpec(
                name=given,
                reason=Reason.NOT_ALLOWED,
                message=f"a row may name a trained model only by its path in {', '.join(map(str, self._folders))}; "
                "animate.animate.model_folders allows other folders, and --model any",
            )
        try:
            trained = open_trained(given, self._weights)
            with trained.local() as local:
                spec = model_spec(local, self._weights)
        except (CheckpointError, OSError, ValueError) as error:
            return ModelSpec(name=given, reason=Reason.MISSING_WEIGHTS, message=str(error))
        name = trained.model.name
        first, _ = self._trained.setdefault(name, (given, trained))
        if first != given:
            return ModelSpec(
                name=given,
                reason=Reason.INVALID_ROW,
                message=f"{given} and {first} would both be called {name} in the results; rename one of the folders",
            )
        self.models[name] = trained.model
        return spec

    def _is_allowed(self, given: str) -> bool:
        if given == self._typed:
            return True
        return given.startswith("/") and any(Path(given).resolve().is_relative_to(folder) for folder in self._folders)


def request_id_parts(models: Sequence[str]) -> dict[str, str]:
    """Each model's part of request ids.

    Raises:
        CheckpointError: there is no trained model at a place.
        UnknownModelError: no model has one of the names.
        ValueError: two would have the same.
    """
    parts: dict[str, str] = {}
    for model in dict.fromkeys(models):
        if is_path(model):
            part = open_trained(model).model.name.replace("@", ".")
        else:
            find_model(model)
            part = model
        if (other := next((given for given, taken in parts.items() if taken == part), None)) is not None:
            raise ValueError(f"{other} and {model} would both be called {part}; rename one of the folders")
        parts[model] = part
    return parts
