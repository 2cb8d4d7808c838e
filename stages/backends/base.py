"""Networks behind a signal: which there are, where their weights come from, and a stage that runs one of them."""

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
from stages.base import Stage

NetworkT = TypeVar("NetworkT")

EMBEDDED = "embedded"
NOT_IN_KEY = MappingProxyType({"in_key": False})


@dataclass(frozen=True, kw_only=True, slots=True)
class Loading:
    """What a backend is loaded with. `paths`: of its weights, in the order in which `Backend.models` names them."""

    paths: tuple[Path, ...]
    device: str
    allow_torchscript: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Backend(Generic[NetworkT]):
    """One way to a signal.

    `models`: what a job file may ask for, the default first, and the entries of the weights catalogue that each is made
    of; empty for what ships with this project.
    `load`: the network. It imports what it needs when it is called.
    """

    load: Callable[[Loading], NetworkT]
    models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class BackendConfig:
    """Which network, and from where. What is made with it knows the digests of its weights.

    Args:
        backend: its name.
        model: which of the backend's models, by name in the weights catalogue; None: its default.
        weights: folder of published weights; the Hugging Face cache is looked in after it.
        device: `auto` is the GPU if the worker has one.
        allow_torchscript: open TorchScript files, which can run code of their own.
        download: fetch weights that are missing.
    """

    backend: str = EMBEDDED
    # The digests of the weights name the model; where and how they were found changes nothing.
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
    def parts(self) -> tuple[str, ...]:
        """Names in the weights catalogue of what the chosen model is made of."""
        models = self.backends[self.backend].models
        return models[self.model or next(iter(models))] if models else ()


ConfigT = TypeVar("ConfigT", bound=BackendConfig)


class BackendStage(Stage[ConfigT], Generic[ConfigT, NetworkT]):
    """A stage around the network that its configuration names."""

    backend: NetworkT

    def __init__(self, config: ConfigT) -> None:
        super().__init__(config)
        self._digests: dict[str, str] | None = None

    def weights(self) -> Mapping[str, str]:
        """Digests of the files.

        Raises:
            CheckpointError: a file is missing, damaged, not the one that was published, or TorchScript, which is not
                allowed.
        """
        if self._digests is None:
            for name in self.config.parts:
                check_allowed(entry(name), allow_torchscript=self.config.allow_torchscript)
            found = self._find()
            for weights in found:
                weights.verify()
            self._digests = self._read_digests(found)
        return self._digests

    def open(self) -> None:
        """Load the network.

        Raises:
            CheckpointError: this machine has no such files, or others than the machine that planned the job.
        """
        found = self._find()
        planned, own = self.weights(), self._read_digests(found)
        if planned != own:
            name = next(name for name, digest in planned.items() if own[name] != digest)
            raise CheckpointError(f"{name} on this worker is not the file that the job was planned with")
        config = self.config
        loading = Loading(
            paths=tuple(weights.path for weights in found),
            device=chosen_device(config.device) if found else "cpu",
            allow_torchscript=config.allow_torchscript,
        )
        self.backend = config.backends[config.backend].load(loading)

    def _find(self) -> list[ResolvedWeights]:
        config = self.config
        folder = Path(config.weights) if config.weights is not None else None
        return [find(entry(name), folder, download=config.download) for name in config.parts]

    def _read_digests(self, found: list[ResolvedWeights]) -> dict[str, str]:
        if not found:
            return embedded_weights(self.config.signal.replace(" ", "-"))
        return {name: digest for weights in found for name, digest in weights.digests().items()}

    @abstractmethod
    def process(self, row: dict[str, Any]) -> dict[str, Any]:
        """The new columns."""


def chosen_device(device: str) -> str:
    """`auto` as the device that this process has."""
    if device != "auto":
        return device
    import torch  # late: planning a job needs no tensors

    return "cuda" if torch.cuda.is_available() else "cpu"
