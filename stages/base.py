"""Base class of stages: callables over one row, independent of Ray."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

Row = dict[str, Any]
"""Row of a dataset (a clip, video or request): column name -> value. Values are numpy arrays or plain Python."""

ConfigT = TypeVar("ConfigT")


class Stage(ABC, Generic[ConfigT]):
    """Base class of row transforms. Subclasses declare the columns they read and write.

    `config` is a frozen keyword-only dataclass of plain values. The stage's key hashes it with `version`, the digests
    from `weights` and the keys of the stages whose columns are read; rows with another key are stale. Increment
    `version` when the output of a stage changes.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[str]]
    writes: ClassVar[frozenset[str]]
    transient: ClassVar[frozenset[str]] = frozenset()
    """Subset of `writes` that is not committed, such as frames. Recomputed when a later stage reads it."""

    def __init__(self, config: ConfigT) -> None:
        self.config = config

    def weights(self) -> Mapping[str, str]:
        """Digest by name of each weight file used by `process`. Called on the driver, without `open`."""
        return {}

    def networks(self, row: Row) -> Mapping[str, str]:  # noqa: ARG002  for overrides
        """Name by stage of the network that processed the row; may be empty. Called once after `process`, if it ran."""
        return {}

    def open(self) -> None:
        """Load the resources of `process`. Called once per worker, never on the driver."""

    def load(self, row: Row) -> bool:  # noqa: ARG002  for overrides
        """Load resources specific to this row, such as its model. Called before `process`.

        Returns True if something was loaded; its time is then recorded separately, as `<name>.load`.
        """
        return False

    @abstractmethod
    def process(self, row: Row) -> Row:
        """Compute the new columns, exactly those of `writes`.

        Raises:
            BadRow: the data of this row is invalid.
            Rejected: the row fails a quality threshold.
        """

    def __call__(self, row: Row) -> Row:
        """Apply the stage; returns the row with the new columns added."""
        new = self.process(row)
        if new.keys() != self.writes:
            raise TypeError(f"stage '{self.name}' wrote {sorted(new)}, but declares {sorted(self.writes)}")
        return {**row, **new}

    def close(self) -> None:
        """Release the resources of `open` (child processes, temporary files)."""
