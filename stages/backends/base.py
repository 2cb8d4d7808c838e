"""Interchangeable networks of a signal: table entry, configuration, weights, and the stage that runs one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar

from models.catalogue import entry
from models.common.digest import CheckpointError
from models.perception.shipped import embedded_weights
from models.weights.resolve import ResolvedWeights, check_allowed, find
from stages.base import Row, Stage

NetworkT = TypeVar("NetworkT")

EMBEDDED = "embedded"
PEOPLE = "people"
NOT_IN_KEY = MappingProxyType({"in_key": False})


@dataclass(frozen=True, kw_only=True, slots=True)
class Loading:
    """Arguments of `Backend.load`. `paths`: paths of its weights, in the order of `Backend.models`."""

    paths: tuple[Path, ...]
    device: str
    allow_torchscript: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Backend(Generic[NetworkT]):
    """One implementation of a signal.

    `load`: loads the network, importing its dependencies when called.
    `models`: model name in job files -> entries of the weights catalogue, with the default first; empty for embedded
      networks.
    `version`: increment it when the backend's results change with the same weights.
    """

    load: Callable[[Loading], NetworkT]
    models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    version: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class BackendConfig:
    """Choice of a network and its weights. Keys contain the digests of the weights.

    Args:
        backend: name of the backend.
        model: name of one of the backend's models; None: the default.
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
        models = self.backends[self.backend].models
        if self.model is not None and self.model not in models:
            raise ValueError(
                f"the {self.signal} backend '{self.backend}' has no model '{self.model}'; it has "
                f"{', '.join(models) or 'none to choose from'}"
            )

    @property
    def in_key(self) -> Mapping[str, Any]:
        """Values, beside the fields, that stage keys depend on."""
        version = self.backends[self.backend].version
        return {} if version == 1 else {"backend_version": version}

    @property
    def network(self) -> str:
        """Name of the model, or of a backend without several."""
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
            resolved = self._find()
            for weights in resolved:
                weights.verify()
            self._digests = self._read_digests(resolved)
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
        resolved = self._find()
        planned, own = self.weights(), self._read_digests(resolved)
        if planned != own:
            name = next(name for name, digest in planned.items() if own[name] != digest)
            raise CheckpointError(f"{name} on this worker is not the file that the job was planned with")
        config = self.config
        loading = Loading(
            paths=tuple(weights.path for weights in resolved),
            device=chosen_device(config.device) if resolved else "cpu",
            allow_torchscript=config.allow_torchscript,
        )
        self.backend = config.backends[config.backend].load(loading)

    def _find(self) -> list[ResolvedWeights]:
        config = self.config
        folder = Path(config.weights) if config.weights is not None else None
        return [find(entry(name), folder, download=config.download) for name in config.parts]

    def _read_digests(self, resolved: list[ResolvedWeights]) -> dict[str, str]:
        if not resolved:
            return embedded_weights(self.config.signal.replace(" ", "-"))
        return {name: digest for weights in resolved for name, digest in weights.digests().items()}

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
