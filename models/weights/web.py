"""Download of a file from a plain web address."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO

from models.common.atomic import atomic_path

SCHEMES = ("https",)
TIMEOUT_SECONDS = 60.0
"""Longest silence of the host."""
CHUNK_BYTES = 2**20
MAX_BYTES = 4 * 2**30
"""Largest file of unknown size."""
ROUNDING = 1.01
"""Largest ratio of a file's size to the one in the catalogue, which may be rounded."""
ROUNDING_BYTES = 2**20


class DownloadError(OSError):
    """The host denies a file, breaks off, or sends another one."""


def download(url: str, path: Path, *, size_bytes: int | None = None, sha256: str | None = None) -> None:
    """Download a file and publish it under `path` when it is whole.

    `size_bytes`: size, which may be rounded; None: unknown. `sha256`: hexadecimal digest; None: not checked.

    Raises:
        DownloadError: the address or a redirection is not HTTPS, the host cannot be reached or lacks the file, or the
            answer is a web page, truncated, too large or of another digest. `path` is then unchanged.
    """
    limit = MAX_BYTES if size_bytes is None else int(size_bytes * ROUNDING) + ROUNDING_BYTES
    opener = urllib.request.build_opener(_SameScheme)
    try:
        _check_scheme(url)
        with opener.open(url, timeout=TIMEOUT_SECONDS) as answer:
            if answer.headers.get_content_type() == "text/html":
                raise DownloadError("the host answers with a web page, not with the file; download it with a browser")
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as temporary:
                received, digest = _copy(answer, temporary, limit)
                announced = answer.headers.get("Content-Length")
                if announced is not None and int(announced) != received:
                    raise DownloadError(f"the host broke off after {received} of {announced} bytes; try again")
                if sha256 is not None and digest != sha256:
                    raise DownloadError(
                        f"it is not the published file: its digest is sha256:{digest}, expected sha256:{sha256}"
                    )
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ValueError) as error:
        raise DownloadError(str(error) or type(error).__name__) from error


class _SameScheme(urllib.request.HTTPRedirectHandler):
    """Follows redirections, as those of releases on GitHub, to allowed addresses only."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        _check_scheme(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_scheme(url: str) -> None:
    if url.partition("://")[0] not in SCHEMES:
        raise DownloadError(f"{url} is not an HTTPS address; nothing was downloaded from there")


def _copy(answer: IO[bytes], path: Path, limit_bytes: int) -> tuple[int, str]:
    """Number of bytes written, and their digest."""
    digest, received = hashlib.sha256(), 0
    with path.open("wb") as file:
        while chunk := answer.read(CHUNK_BYTES):
            received += len(chunk)
            if received > limit_bytes:
                raise DownloadError(f"the host sends more than {limit_bytes} bytes; that is another file")
            digest.update(chunk)
            file.write(chunk)
    return received, digest.hexdigest()
