"""Access to source files by URI: validation, and download of remote files."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, unquote_to_bytes, urlsplit

import fsspec

from models.video.container import MediaLimits
from stages.io.http_source import open_http
from stages.outcome import BadRow, Reason

DEFAULT_SCHEMES = ("file", "s3", "gs", "abfs")
"""Default allowed schemes. `http` and `https` require opt-in."""

_MAX_URI_CHARS = 4096
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
            text = f"{_shown(uri)} has {source.size_bytes} bytes, it had {size_bytes}; run ingest again"
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
                text = f"{_shown(uri)} broke off after {num_bytes} of {stated_bytes} bytes"
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
                text = f"{_shown(uri)} was not fetched within {self.timeout_seconds:g} s ({num_bytes} bytes came)"
                raise BadRow(Reason.TIMEOUT, text)
            file.write(chunk)

    def _check_size(self, uri: str, num_bytes: int) -> None:
        if num_bytes > self.max_bytes:
            text = f"{_shown(uri)} has {num_bytes} bytes or more, {self.max_bytes} are allowed"
            raise BadRow(Reason.TOO_LARGE, text)


def check_uri(uri: Any, allowed_schemes: tuple[str, ...]) -> str:
    """Validate `uri`; returns its scheme, `file` for a plain path.

    Raises:
        BadRow: InvalidRow for a malformed URI, NotAllowed for one that must not be opened.
    """
    if not isinstance(uri, str) or not uri:
        raise BadRow(Reason.INVALID_ROW, f"expected a path or URL as uri, got {uri!r:.100}")
    if len(uri) > _MAX_URI_CHARS:
        raise BadRow(Reason.INVALID_ROW, f"uri has {len(uri)} characters, {_MAX_URI_CHARS} are allowed: {uri[:60]!r}…")
    if any(ord(character) < 32 or ord(character) == 127 for character in uri):
        raise BadRow(Reason.NOT_ALLOWED, f"uri holds control characters: {uri[:100]!r}")
    if not uri.isprintable():
        try:
            uri.encode()
        except UnicodeEncodeError as error:
            raise BadRow(Reason.INVALID_ROW, f"uri is not valid Unicode: {uri[:100]!r}") from error
    if "::" in uri:
        raise BadRow(Reason.NOT_ALLOWED, f"uri chains file systems with '::': {uri[:100]!r}")
    scheme = uri.split("://", 1)[0].lower() if "://" in uri else "file"
    if scheme not in allowed_schemes:
        text = f"scheme '{scheme}' of {_shown(uri)} is not allowed; allowed are {', '.join(allowed_schemes)}"
        raise BadRow(Reason.NOT_ALLOWED, text)
    if ".." in uri.replace("\\", "/").split("/"):
        raise BadRow(Reason.NOT_ALLOWED, f"uri goes up with '..': {_shown(uri)}; give the path it leads to")
    return scheme


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
    return Source(path=str(Path(path).absolute()), size_bytes=status.st_size, etag=None)


@contextlib.contextmanager
def _open_remote(uri: str, scheme: str) -> Iterator[tuple[BinaryIO, int | None, str | None]]:
    """Context manager with the content stream, its size and its ETag; None for what the store does not provide."""
    if scheme in ("http", "https"):
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
    except (BadRow, ImportError, MemoryError):  # ImportError: a missing extra is a fault of the installation
        raise
    except FileNotFoundError as error:
        raise BadRow(Reason.NOT_FOUND, f"{_shown(uri)} does not exist") from error
    except Exception as error:  # stores define exceptions of their own
        text = f"{_shown(uri)} cannot be read: {type(error).__name__}: {str(error)[:300]}"
        raise BadRow(Reason.UNREADABLE_SOURCE, text) from error


def _shown(uri: str) -> str:
    """URI for messages: without credentials and query, at most about 200 characters."""
    if "://" in uri and not uri.startswith("file:"):
        parts = urlsplit(uri)
        uri = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return uri if len(uri) <= 200 else f"{uri[:100]}…{uri[-80:]}"


def _make_folder() -> Path:
    """Create a temporary folder named after this process, and delete those of killed processes."""
    root = Path(tempfile.gettempdir())
    for folder in root.glob(f"{_FOLDER_PREFIX}*"):
        pid = folder.name.removeprefix(_FOLDER_PREFIX).split("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_FOLDER_PREFIX}{os.getpid()}-", dir=root))
