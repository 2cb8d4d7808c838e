"""A dataset's folder, local or on an object store, written so that a reader never sees half a file."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import fsspec


class Storage:
    """Files under one root. Names are relative, with forward slashes.

    `publish` is the only way anything is written: on a local disk a temporary file, flushed to the disk and renamed; on
    an object store a single PUT. Both replace what was there in one step.
    """

    def __init__(self, url: str) -> None:
        self.fs, root = fsspec.core.url_to_fs(url)
        self.root = str(root).rstrip("/")
        self.is_local = isinstance(self.fs, fsspec.implementations.local.LocalFileSystem)
        self.url = self.root if self.is_local else str(self.fs.unstrip_protocol(self.root))

    def __reduce__(self) -> tuple[Any, ...]:
        # Rebuilt from its URL in every process: file systems hold connections that do not travel.
        return Storage, (self.url,)

    def path(self, name: str) -> str:
        """Full path of `name` on the file system."""
        return f"{self.root}/{name}"

    def publish(self, name: str, data: bytes) -> None:
        """Write `data` as `name`, replacing what was there, in one atomic step.

        Raises:
            OSError: the storage refused it (full, read-only, unreachable). What was there before is untouched.
        """
        if not self.is_local:
            self.fs.pipe_file(self.path(name), data)
            return
        target = Path(self.path(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        # A leading dot hides it from every Parquet reader; a name of its own keeps concurrent writers apart.
        temporary = target.parent / f".{target.name[:80]}.{uuid.uuid4().hex}.tmp"
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        # The rename itself must survive a power cut, or a row that was reported done would come undone.
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def read(self, name: str) -> bytes:
        """The whole of `name`. Raises FileNotFoundError."""
        return bytes(self.fs.cat_file(self.path(name)))

    def exists(self, name: str) -> bool:
        """Whether `name` is there now."""
        self.fs.invalidate_cache()
        return bool(self.fs.exists(self.path(name)))

    def names(self, folder: str = "", suffix: str = "") -> list[str]:
        """Names of the visible files directly in `folder`, sorted. Empty when there is no such folder."""
        self.fs.invalidate_cache()
        base = self.path(folder).rstrip("/")
        try:
            found = self.fs.ls(base, detail=True)
        except FileNotFoundError:
            return []
        leaves = (str(entry["name"]).rsplit("/", 1)[-1] for entry in found if entry["type"] == "file")
        prefix = f"{folder}/" if folder else ""
        return sorted(f"{prefix}{leaf}" for leaf in leaves if leaf.endswith(suffix) and not leaf.startswith("."))

    def delete(self, name: str) -> None:
        """Remove `name`; it may be gone already."""
        try:
            self.fs.rm_file(self.path(name))
        except FileNotFoundError:
            return

    def sweep_temporaries(self) -> None:
        """Remove what writers that were killed left behind. Only with the lock held: a living writer's file is not
        safe.
        """
        if not self.is_local:
            return
        for folder in (
            Path(self.root),
            Path(self.root) / "_parts",
            Path(self.root) / "_jobs",
            Path(self.root) / "_report",
        ):
            for leftover in folder.glob(".*.tmp"):
                leftover.unlink(missing_ok=True)
