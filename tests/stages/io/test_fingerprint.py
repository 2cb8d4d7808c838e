from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from stages.io.fingerprint import ContentCheck
from stages.io.source import Source
from stages.outcome import BadRow


def test_other_content_of_the_same_size_and_time_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    path.write_bytes(b"one")
    before = path.stat()
    fingerprint = f"sha256:{hashlib.sha256(b'one').hexdigest()}"
    source, check = Source(path=str(path), size_bytes=3, etag=None), ContentCheck()
    check.require(source, fingerprint, "a.avi")
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(BadRow, match=r"SourceChanged: a.avi is now sha256:.* run ingest again"):
        check.require(source, fingerprint, "a.avi")


def test_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.avi"
    path.write_bytes(b"one")
    source, check = Source(path=str(path), size_bytes=3, etag=None), ContentCheck()
    fingerprint = f"sha256:{hashlib.sha256(b'one').hexdigest()}"
    check.require(source, fingerprint, "a.avi")
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    check.require(source, fingerprint, "a.avi")


def test_tags_are_compared_and_other_fingerprints_are_not(tmp_path: Path) -> None:
    source = Source(path=str(tmp_path / "absent"), size_bytes=3, etag="new")
    ContentCheck().require(source, "etag:new", "s3://a")
    ContentCheck().require(source, "version 7", "s3://a")
    with pytest.raises(BadRow, match="is now etag:new, it was etag:old"):
        ContentCheck().require(source, "etag:old", "s3://a")
