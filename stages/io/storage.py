"""A dataset's folder, local or on an object store, written so that a reader never sees half a file."""

from __future__ import annotations

import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec

VIDEOS = "_videos"
"""Folder of a dataset's own media, where it has some. Readers of Parquet folders skip names that begin like this."""


def open_file_system(url: str) -> tuple[Any, str]:
    """The file system of `url` and the path on it. Listings are not cached: other processes write there too.

    Raises:
        ValueError: no such protocol, or the package for it is not installed.
    """
    try:
        fs, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        raise ValueError(f"{url}: {error} (pip install 'zoetrope[s3]' brings what s3:// needs)") from error
    return fs, str(path)


def is_local(fs: Any) -> bool:
    """Whether `fs` is this machine's own disk."""
    return isinstance(fs, fsspec.implementations.local.LocalFileSystem)


@contextlib.contextmanager
def store_errors(url: str) -> Iterator[None]:
    """Stores have exceptions of their own, for missing credentials or an endpoint that is down: they become OSError."""
    try:
        yield
    except (OSError, ValueError, MemoryError):
        raise
    except Exception as error:  # nothing is swallowed: it goes on under a name that callers can expect
        raise OSError(f"{url}: {type(error).__name__}: {str(error)[:300]}") from error


class Storage:
    """Files under one root. Names are relative, with forward slashes.

    `publish` is the only way anything is written: on a local disk a temporary file, flushed to the disk and renamed; on
    an object store a single PUT. Both replace what was there in one step.
    """

    def __init__(self, url: str) -> None:
        self.fs, root = open_file_system(url)
        self.root = root.rstrip("/")
        self.is_local = is_local(self.fs)
        self.url = self.root if self.is_local else str(self.fs.unstrip_protocol(self.root))

    def __reduce__(self) -> tuple[Any, ...]:
        # Rebuilt from its URL in every process: file systems hold connections that do not travel.
        return Storage, (self.url,)

    def path(self, name: str) -> str:
        """Full path of `name` on the file system."""
        return f"{self.root}/{name}"

    def url_of(self, name: str) -> str:
        """How `name` is called outside: a path when local, else a URL."""
        return f"{self.url}/{name}"

    def publish(self, name: str, data: bytes) -> None:
        """Write `data` as `name`, replacing what was there, in one atomic step.

        Raises:
            OSError: the storage refused it (full, read-only, unreachable). What was there before is untouched.
        """
        if not self.is_local:
            with store_errors(self.url):
                self.fs.pipe_file(self.path(name), data)
            return
        target = Path(self.path(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(target)
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except OSError as error:
            # A full disk does not say where it is full.
            error.filename = error.filename or str(target)
            raise
        finally:
            temporary.unlink(missing_ok=True)
        _flush_folder(target.parent)

    @contextlib.contextmanager
    def staged(self, name: str) -> Iterator[Path]:
        """A local path to write a large file to. When the block ends well, the file is published as `name` in one step.

        Raises:
            OSError: the storage refused it. What was there before is untouched.
        """
        if not self.is_local:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / name.rsplit("/", 1)[-1]
                yield path
                with store_errors(self.url):
                    self.fs.put_file(str(path), self.path(name))
            return
        target = Path(self.path(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(target)
        try:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        _flush_folder(target.parent)

    @contextlib.contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        """A local path to read `name` from, for as long as the block lasts. Raises FileNotFoundError."""
        if self.is_local:
            path = Path(self.path(name))
            path.stat()
            yield path
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name.rsplit("/", 1)[-1]
            with store_errors(self.url):
                self.fs.get_file(self.path(name), str(path))
            yield path

    def read(self, name: str) -> bytes:
        """The whole of `name`. Raises FileNotFoundError."""
        with store_errors(self.url):
            return bytes(self.fs.cat_file(self.path(name)))

    def exists(self, name: str) -> bool:
        """Whether `name` is there now."""
        with store_errors(self.url):
            return bool(self.fs.exists(self.path(name)))

    def names(self, folder: str = "", suffix: str = "") -> list[str]:
        """Names of the visible files directly in `folder`, sorted. Empty when there is no such folder."""
        base = self.path(folder).rstrip("/")
        try:
            with store_errors(self.url):
                found = self.fs.ls(base, detail=True)
        except FileNotFoundError:
            return []
        leaves = (str(entry["name"]).rsplit("/", 1)[-1] for entry in found if entry["type"] == "file")
        prefix = f"{folder}/" if folder else ""
        return sorted(f"{prefix}{leaf}" for leaf in leaves if leaf.endswith(suffix) and not leaf.startswith("."))

    def delete(self, name: str) -> None:
        """Remove `name`; it may be gone already."""
        try:
            with store_errors(self.url):
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
            Path(self.root) / VIDEOS,
        ):
            for leftover in folder.glob(".*.tmp"):
                leftover.unlink(missing_ok=True)


def _temporary(target: Path) -> Path:
    """A leading dot hides it from every Parquet reader; a name of its own keeps concurrent writers apart."""
    return target.parent / f".{target.name[:80]}.{uuid.uuid4().hex}.tmp"


def _flush_folder(folder: Path) -> None:
    """A rename itself must survive a power cut, or a row that was reported done would come undone."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
