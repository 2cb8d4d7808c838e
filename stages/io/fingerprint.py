"""Content of source files, compared with the digests that rows carry."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from pathlib import Path

from stages.io.source import Source
from stages.outcome import BadRow, Reason

_MAX_FILES = 64


class ContentCheck:
    """Compares files with fingerprints. A file is read once; consecutive rows are often clips of one video."""

    def __init__(self) -> None:
        self._digests: OrderedDict[tuple[str | int, ...], str] = OrderedDict()

    def require(self, source: Source, fingerprint: str, uri: str) -> None:
        """Verify that `source` has the content of `fingerprint`. A fingerprint of another kind is not verifiable.

        Raises:
            BadRow: SourceChanged.
        """
        if fingerprint.startswith("etag:") and source.etag:
            found = f"etag:{source.etag}"
        elif re.fullmatch("sha256:[0-9a-f]{64}", fingerprint):
            found = f"sha256:{self._digest(source.path)}"
        else:
            return
        if found != fingerprint:
            raise BadRow(
                Reason.SOURCE_CHANGED,
                f"{uri} is now {found}, it was {fingerprint} when it was ingested; run ingest again (`touch` the file "
                "first, if its time did not change with it)",
            )

    def _digest(self, path: str) -> str:
        status = Path(path).stat()
        key = (path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if key not in self._digests:
            with Path(path).open("rb") as file:
                self._digests[key] = hashlib.file_digest(file, "sha256").hexdigest()
            while len(self._digests) > _MAX_FILES:
                self._digests.popitem(last=False)
        return self._digests[key]
