"""Interchangeable networks of a signal: table entry, configuration, weights, and the stage that runs one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar

from models.catalogue import entry
from models.common.digest import CheckpointError, file_digest
from models.weights.local import folder_label, is_path
from models.weights.resolve import ResolvedWeights, check_allowed, find
from stages.backends.trained import Included, opened
from stages.base import Row, Stage

NetworkT = TypeVar("NetworkT")

EMBEDDED = "embedded"
PEOPLE = "people"
NOT_IN_KEY = MappingProxyType({"in_key": False})


@dataclass(frozen=True, kw_only=True, slots=True)
class Loading:
    """Arguments of `Backend.load`. `paths`: paths of its weights, in the order of `Backend.models`, or the one of
    `Backend.included`.
    """

    paths: tuple[Path, ...]
    device: str
    allow_torchscript: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Backend(Generic[NetworkT]):
    """One implementation of a signal.

    `load`: loads the network, importing its dependencies when called.
    `models`: model name in job files -> entries of the weights catalogue, with the default first; empty for embedded
      networks.
    `included`: the embedded network; None for published ones.
    `version`: increment it when the backend's results change with the same weights.
    """

    load: Callable[[Loading], NetworkT]
    models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    included: Included | None = None
    version: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class BackendConfig:
    """Choice of a network and its weights. Keys contain the digests of the weights.

    Args:
        backend: name of the backend.
        model: name of one of the backend's models, or, for `embedded`, the folder that `zoetrope train perception` or
            `train appearance` wrote; None: the default.
        weights: folder of published weights, searched before `~/.cache/zoetrope/weights` and the Hugging Face cache.
        device: `auto`: the GPU if the worker has one, else the CPU.
        allow_torchscript: open TorchScript files, which can execute code.
        download: download missing weights.
    """

    backend: str = EMBEDDED
    # Not in the key: the digests of the weights identify the model, and the other settings do not change results.
    model: str | None = field(default=None, metadata=NOT_IN_KEY)
    weights: str | None = field(default=None, metadata=NOT_IN_KEY)
    device: str = field(default="auto", metadata=NOT_IN_KEY)
    allow_torchscript: bool = field(default=False, metadata=NOT_IN_KEY)
    download: bool = field(default=False, metadata=NOT_IN_KEY)

    signal: ClassVar[str]
    backends: ClassVar[Mapping[str, Backend[Any]]]

    def __post_init__(self) -> None:
        if self.backend not in self.backends:
            raise ValueError(
                f"unknown {self.signal} backend '{self.backend}', expected one of {', '.join(sorted(self.backends))}"
            )
        backend = self.backends[self.backend]
        if self.model is None or self.model in backend.models or self.trained is not None:
            return
        its = ", ".join(backend.models)
        if backend.included is not None:
            its = f"the included one, or a folder that `zoetrope train {backend.included.trained_by}` wrote"
        raise ValueError(f"the {self.signal} backend '{self.backend}' has no model '{self.model}'; it has {its}")

    @property
    def in_key(self) -> Mapping[str, Any]:
        """Values, beside the fields, that stage keys depend on."""
        version = self.backends[self.backend].version
        return {} if version == 1 else {"backend_version": version}

    @property
    def trained(self) -> str | None:
        """Place of the trained network that runs instead of the included one, or None."""
        takes_place = self.backends[self.backend].included is not None
        return self.model if takes_place and self.model is not None and is_path(self.model) else None

    @property
    def network(self) -> str:
        """Name of the model, or of a backend without several; `BACKEND@FOLDER` of a trained network."""
        if self.trained is not None:
            return f"{self.backend}@{folder_label(self.trained)}"
        return self.model or next(iter(self.backends[self.backend].models), self.backend)

    @property
    def parts(self) -> tuple[str, ...]:
        """Entries of the weights catalogue that the model consists of."""
        return self.backends[self.backend].models.get(self.network, ())


ConfigT = TypeVar("ConfigT", bound=BackendConfig)


class BackendStage(Stage[ConfigT], Generic[ConfigT, NetworkT]):
    """Base of stages that run the configured network."""

    backend: NetworkT

    def __init__(self, config: ConfigT) -> None:
        super().__init__(config)
        self._digests: dict[str, str] | None = None

    def weights(self) -> Mapping[str, str]:
        """Digests of the weights files, verified against the catalogue.

        Raises:
            CheckpointError: a file is missing, damaged, not the published one, or TorchScript without
                `allow_torchscript`.
        """
        if self._digests is None:
            for name in self.config.parts:
                check_allowed(entry(name), allow_torchscript=self.config.allow_torchscript)
            for weights in self._find():
                weights.verify()
            with self._files() as (_, digests):
                self._digests = digests
        return self._digests

    def networks(self, row: Row) -> Mapping[str, str]:  # noqa: ARG002  for overrides
        """The configured network."""
        return {self.name: self.config.network}

    def open(self) -> None:
        """Load the network.

        Raises:
            CheckpointError: files are missing on this machine, or differ from those of the machine that planned the
            job.
        """
        config = self.config
        backend = config.backends[config.backend]
        with self._files() as (paths, own):
            planned = self.weights()
            if planned != own:
                name = next(name for name, digest in planned.items() if own.get(name) != digest)
                raise CheckpointError(f"{name} on this worker is not the file that the job was planned with")
            loading = Loading(
                paths=paths,
                device=chosen_device(config.device) if config.parts else "cpu",
                allow_torchscript=config.allow_torchscript,
            )
            self.backend = backend.load(loading)

    def _find(self) -> list[ResolvedWeights]:
        config = self.config
        folder = Path(config.weights) if config.weights is not None else None
        return [find(entry(name), folder, download=config.download) for name in config.parts]

    @contextmanager
    def _files(self) -> Iterator[tuple[tuple[Path, ...], dict[str, str]]]:
        """Paths of the files while the context lasts, and their digests by name."""
        included = self.config.backends[self.config.backend].included
        if included is not None:
            with opened(self.config.trained, included) as path:
                yield (path,), {included.label: file_digest(path)}
        else:
            resolved = self._find()
            digests = {name: digest for weights in resolved for name, digest in weights.digests().items()}
            yield tuple(weights.path for weights in resolved), digests

    @abstractmethod
    def process(self, row: dict[str, Any]) -> dict[str, Any]:
        """Compute the new columns."""


StageT = TypeVar("StageT", bound=BackendStage[Any, Any])


class OnDemand(Generic[StageT]):
    """A stage that is opened when it is first used, for networks that many rows do not need."""

    def __init__(self, stage: StageT) -> None:
        self._stage = stage
        self._is_open = self._is_used = False

    def networks(self, stage: str) -> Mapping[str, str]:
        """`Stage.networks` of the stage of this name: the network, if `get` was called since the last call."""
        is_used, self._is_used = self._is_used, False
        return {stage: self._stage.config.network} if is_used else {}

    def weights(self) -> Mapping[str, str]:
        """Digests of its weights."""
        return self._stage.weights()

    def get(self) -> StageT:
        """The open stage. Raises as its `open` does."""
        self._is_used = True
        if not self._is_open:
            self._stage.open()
            self._is_open = True
        return self._stage

    def close(self) -> None:
        """Close the stage, if it is open."""
        if self._is_open:
            self._stage.close()
            self._is_open = False


def chosen_device(device: str) -> str:
    """Resolve `auto` to the device of this process."""
    if device != "auto":
        return device
    import torch  # imported late: planning needs no torch

    return "cuda" if torch.cuda.is_available() else "cpu"
