"""Access to source files by URI: their versions, and download of remote files."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, unquote_to_bytes

import fsspec

from models.video.container import MediaLimits
from stages.io.http_source import open_http
from stages.io.uri_gate import DEFAULT_SCHEMES, HTTP_SCHEMES, check_uri, shown_uri
from stages.outcome import BadRow, Reason

_CHUNK_BYTES = 2**20
_FOLDER_PREFIX = "zoetrope-sources-"


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Local path and version of a source file."""

    path: str
    size_bytes: int
    etag: str | None
    """ETag of the content, if the store provides one."""


class SourceFiles:
    """Opens local files in place, and caches the most recent remote files in a temporary folder.

    Consecutive rows are often clips of one video, which is then downloaded once.
    """

    def __init__(
        self,
        allowed_schemes: tuple[str, ...] = DEFAULT_SCHEMES,
        *,
        limits: MediaLimits,
        max_files: int = 4,
        timeout_seconds: float = 1800.0,
    ) -> None:
        self.allowed_schemes = allowed_schemes
        self.max_bytes = limits.max_bytes
        self.max_files = max_files
        self.timeout_seconds = timeout_seconds
        self._fetched: OrderedDict[str, Source] = OrderedDict()
        self._folder: Path | None = None

    def open(self, uri: Any, *, size_bytes: int | None = None) -> Source:
        """Source file at `uri`: a path, or a URL of an allowed scheme.

        Args:
            uri: unvalidated value of the row.
            size_bytes: expected size; None: not verified.

        Raises:
            BadRow: InvalidRow, NotAllowed, NotFound, UnreadableSource, TooLarge, Timeout, or SourceChanged.
        """
        scheme = check_uri(uri, self.allowed_schemes)
        source = _local(uri) if scheme == "file" else self._remote(uri, scheme)
        if size_bytes is not None and source.size_bytes != size_bytes:
            text = f"{shown_uri(uri)} has {source.size_bytes} bytes, it had {size_bytes}; run ingest again"
            raise BadRow(Reason.SOURCE_CHANGED, text)
        return source

    def close(self) -> None:
        """Delete downloaded files."""
        self._fetched.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _remote(self, uri: str, scheme: str) -> Source:
        if uri in self._fetched:
            self._fetched.move_to_end(uri)
            return self._fetched[uri]
        while len(self._fetched) >= self.max_files:
            _, oldest = self._fetched.popitem(last=False)
            Path(oldest.path).unlink(missing_ok=True)
        if self._folder is None:
            self._folder = _make_folder()
        handle, path = tempfile.mkstemp(dir=self._folder)
        try:
            with os.fdopen(handle, "wb") as file, _open_remote(uri, scheme) as (stream, stated_bytes, etag):
                self._check_size(uri, stated_bytes or 0)
                num_bytes = self._copy(uri, stream, file)
            if stated_bytes is not None and num_bytes != stated_bytes:
                text = f"{shown_uri(uri)} broke off after {num_bytes} of {stated_bytes} bytes"
                raise BadRow(Reason.UNREADABLE_SOURCE, text)
        except BaseException:
            Path(path).unlink()
            raise
        self._fetched[uri] = Source(path=path, size_bytes=num_bytes, etag=etag)
        return self._fetched[uri]

    def _copy(self, uri: str, stream: BinaryIO, file: BinaryIO) -> int:
        deadline = time.monotonic() + self.timeout_seconds
        num_bytes = 0
        while True:
            with _reading(uri):
                chunk = stream.read(_CHUNK_BYTES)
            if not chunk:
                return num_bytes
            num_bytes += len(chunk)
            self._check_size(uri, num_bytes)
            if time.monotonic() > deadline:
                text = f"{shown_uri(uri)} was not fetched within {self.timeout_seconds:g} s ({num_bytes} bytes came)"
                raise BadRow(Reason.TIMEOUT, text)
            file.write(chunk)

    def _check_size(self, uri: str, num_bytes: int) -> None:
        if num_bytes > self.max_bytes:
            text = f"{shown_uri(uri)} has {num_bytes} bytes or more, {self.max_bytes} are allowed"
            raise BadRow(Reason.TOO_LARGE, text)


def source_info(uri: Any, allowed_schemes: Iterable[str]) -> Mapping[str, Any]:
    """Facts that the store has about a file, which is not read: `size`, and `ETag`, `etag`, `mtime` or `LastModified`.

    Raises:
        BadRow: InvalidRow, NotAllowed, NotFound, or UnreadableSource.
    """
    scheme = check_uri(uri, allowed_schemes)
    with _reading(uri):
        if scheme in HTTP_SCHEMES:
            with contextlib.closing(open_http(uri, "HEAD")) as response:
                headers = response.headers
                return {
                    "size": headers.get("Content-Length"),
                    "ETag": headers.get("ETag"),
                    "LastModified": headers.get("Last-Modified"),
                }
        if scheme == "file":
            facts: Mapping[str, Any] = fsspec.filesystem("file").info(local_path(uri))
        else:
            filesystem, path = fsspec.core.url_to_fs(uri, use_listings_cache=False)
            facts = filesystem.info(path)
        return facts


_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def local_uri(path: str) -> str:
    """URI of a local path: the path itself, or a percent-encoded `file://` URL for a name that is not UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return f"file://{quote(os.fsencode(path))}"
    return path


def local_path(uri: str) -> str:
    """Local path of a URI of the scheme `file`, the inverse of `local_uri`."""
    if "://" not in uri:
        return uri
    path = uri.split("://", 1)[1]
    if "%" in path and not os.path.lexists(path):
        return os.fsdecode(unquote_to_bytes(path))
    return path


def _local(uri: str) -> Source:
    path = local_path(uri)
    with _reading(uri):
        status = Path(path).stat()
    if not stat.S_ISREG(status.st_mode):  # a pipe or a device would be read for ever
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "a special file")
        raise BadRow(Reason.UNREADABLE_SOURCE, f"{shown_uri(uri)} is {kind}, expected a regular file")
    return Source(path=str(Path(path).absolute()), size_bytes=status.st_size, etag=None)


@contextlib.contextmanager
def _open_remote(uri: str, scheme: str) -> Iterator[tuple[BinaryIO, int | None, str | None]]:
    """Context manager with the content stream, its size and its ETag; None for what the store does not provide."""
    if scheme in HTTP_SCHEMES:
        with _reading(uri):
            response = open_http(uri)
        with contextlib.closing(response):
            yield response, response.length, _bare(response.headers.get("ETag"))
        return
    with _reading(uri):
        filesystem, path = fsspec.core.url_to_fs(uri)
        info = filesystem.info(path)
        stream = filesystem.open(path, "rb")
    with contextlib.closing(stream):
        yield stream, info.get("size"), _bare(info.get("ETag") or info.get("etag"))


def _bare(etag: str | None) -> str | None:
    return etag.strip('"') if etag else None


@contextlib.contextmanager
def _reading(uri: str) -> Iterator[None]:
    """Context manager that converts exceptions of a store to BadRow."""
    try:
        yield
    except (BadRow, MemoryError):
        raise
    except FileNotFoundError as error:
        raise BadRow(Reason.NOT_FOUND, f"{shown_uri(uri)} does not exist") from error
    except Exception as error:  # stores define exceptions of their own
        text = f"{shown_uri(uri)} cannot be read: {type(error).__name__}: {str(error)[:300]}"
        raise BadRow(Reason.UNREADABLE_SOURCE, text) from error


def _make_folder() -> Path:
    """Create a temporary folder named after this process, and delete those of killed processes."""
    root = Path(tempfile.gettempdir())
    for folder in root.glob(f"{_FOLDER_PREFIX}*"):
        pid = folder.name.removeprefix(_FOLDER_PREFIX).split("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_FOLDER_PREFIX}{os.getpid()}-", dir=root))
