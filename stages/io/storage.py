"""Storage of a dataset, local or on an object store, with atomic writes."""

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
"""Folder of media within a dataset. Readers of Parquet folders skip names with a leading underscore."""


def open_file_system(url: str) -> tuple[Any, str]:
    """File system of `url` and the path on it. Listings are not cached, because other processes write as well.

    Raises:
        ValueError: an unknown protocol, or one whose package is not installed.
    """
    try:
        fs, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        raise ValueError(f"{url}: {error} (pip install 'zoetrope[s3]' brings what s3:// needs)") from error
    return fs, str(path)


def is_local(fs: Any) -> bool:
    """True for the file system of the local machine."""
    return isinstance(fs, fsspec.implementations.local.LocalFileSystem)


@contextlib.contextmanager
def store_errors(url: str) -> Iterator[None]:
    """Context manager that converts exceptions specific to a store (missing credentials, unreachable) to OSError."""
    try:
        yield
    except (OSError, ValueError, MemoryError):
        raise
    except Exception as error:  # converted, not suppressed
        raise OSError(f"{url}: {type(error).__name__}: {str(error)[:300]}") from error


class Storage:
    """Files under one root. Names are relative, with forward slashes.

    All writes are atomic: on a local disk a temporary file, flushed and renamed; on an object store a single upload.
    """

    def __init__(self, url: str) -> None:
        self.fs, root = open_file_system(url)
        self.root = root.rstrip("/")
        self.is_local = is_local(self.fs)
        self.url = self.root if self.is_local else str(self.fs.unstrip_protocol(self.root))

    def __reduce__(self) -> tuple[Any, ...]:
        # Rebuilt from its URL in every process: connections of file systems cannot be pickled.
        return Storage, (self.url,)

    def path(self, name: str) -> str:
        """Full path of `name` on the file system.

        Raises:
            PermissionError: the path would lie outside of the root. Names may come from rows, which are untrusted.
        """
        if name.startswith("/") or ".." in name.split("/") or "\0" in name:
            raise PermissionError(f"{name!r:.100} is not the name of a file in {self.url}")
        return f"{self.root}/{name}"

    def url_of(self, name: str) -> str:
        """Address of `name` for other programs: a path if local, else a URL."""
        return f"{self.url}/{name}"

    def publish(self, name: str, data: bytes) -> None:
        """Write `data` as `name`, atomically replacing an older file.

        Raises:
            OSError: the storage refused it (full, read-only, unreachable). An older file is untouched.
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
            # The error of a full disk names no file.
            error.filename = error.filename or str(target)
            raise
        finally:
            temporary.unlink(missing_ok=True)
        _flush_folder(target.parent)

    @contextlib.contextmanager
    def staged(self, name: str) -> Iterator[Path]:
        """Context manager with a local path to write a large file to, published atomically as `name` on exit.

        Nothing is published if the block raises.

        Raises:
            OSError: the storage refused it. An older file is untouched.
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
        """Context manager with a local path to read `name` from. Raises FileNotFoundError."""
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
        """Contents of `name`. Raises FileNotFoundError."""
        with store_errors(self.url):
            return bytes(self.fs.cat_file(self.path(name)))

    def exists(self, name: str) -> bool:
        """True if `name` exists."""
        with store_errors(self.url):
            return bool(self.fs.exists(self.path(name)))

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Size in bytes of each file in `folder`, by name, without hidden files. Empty if it does not exist."""
        base = self.path(folder).rstrip("/")
        try:
            with store_errors(self.url):
                entries = self.fs.ls(base, detail=True)
        except FileNotFoundError:
            return {}
        prefix = f"{folder}/" if folder else ""
        files = {str(entry["name"]).rsplit("/", 1)[-1]: entry["size"] for entry in entries if entry["type"] == "file"}
        return {f"{prefix}{leaf}": int(size or 0) for leaf, size in files.items() if not leaf.startswith(".")}

    def names(self, folder: str = "", suffix: str = "") -> list[str]:
        """Sorted names of the files in `folder` with the suffix, without hidden files. Empty if it does not exist."""
        return sorted(name for name in self.sizes(folder) if name.endswith(suffix))

    def delete(self, name: str) -> None:
        """Delete `name`. No-op if it does not exist."""
        try:
            with store_errors(self.url):
                self.fs.rm_file(self.path(name))
        except FileNotFoundError:
            return

    def sweep_temporaries(self) -> None:
        """Delete temporary files of killed writers. Requires the dataset's lock: those of active writers go as well."""
        if not self.is_local:
            return
        for folder in (
            Path(self.root),
            Path(self.root) / "_parts",
            Path(self.root) / "_jobs",
            Path(self.root) / "_report",
            Path(self.root) / "_statistics",
            Path(self.root) / "_tables",
            Path(self.root) / VIDEOS,
        ):
            for leftover in folder.glob(".*.tmp"):
                leftover.unlink(missing_ok=True)


def _temporary(target: Path) -> Path:
    """Temporary path beside `target`: hidden from Parquet readers, unique per writer."""
    return target.parent / f".{target.name[:80]}.{uuid.uuid4().hex}.tmp"


def _flush_folder(folder: Path) -> None:
    """Flush a folder to disk, so that a rename survives a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
