"""What a stage is: a plain callable over one row, testable without Ray."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

Row = dict[str, Any]
"""One clip (or video, or request): column name -> value. Arrays are numpy, everything else plain Python."""

ConfigT = TypeVar("ConfigT")


class Stage(ABC, Generic[ConfigT]):
    """One row transform. Subclasses state what they read and write; the pipeline checks the list before Ray starts.

    `config` is a frozen keyword-only dataclass whose fields are plain values: it is hashed, together with `version`,
    the digests from `weights` and the stages whose columns are read, into the key that decides what a changed
    setting makes stale. Raise `version` when the code of a stage changes what it computes.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[str]]
    writes: ClassVar[frozenset[str]]
    transient: ClassVar[frozenset[str]] = frozenset()
    """Those of `writes` that live in memory only (frames); they are made again whenever a later stage needs them."""

    def __init__(self, config: ConfigT) -> None:
        self.config = config

    def weights(self) -> Mapping[str, str]:
        """Digest by name of every weight file that `process` depends on. Cheap: the driver calls it without `open`."""
        return {}

    def open(self) -> None:
        """Load what `process` needs. Called once in each worker, never on the driver."""

    def load(self, row: Row) -> bool:  # noqa: ARG002  for those that override it
        """Load what this row needs beyond `open`, such as the model that it names; returns whether there was anything
        to load. Called before `process`; its time is counted apart, as `<name>.load`.
        """
        return False

    @abstractmethod
    def process(self, row: Row) -> Row:
        """The new columns, exactly those of `writes`.

        Raises:
            BadRow: the data of this row does not allow it.
            Rejected: the row fails a quality threshold.
        """

    def __call__(self, row: Row) -> Row:
        """The row with the new columns added."""
        new = self.process(row)
        if new.keys() != self.writes:
            raise TypeError(f"stage '{self.name}' wrote {sorted(new)}, but declares {sorted(self.writes)}")
        return {**row, **new}

    def close(self) -> None:
        """Release what `open` took (child processes, temporary files)."""
