"""Structural checks of weight files, without loading tensors or executing code."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path

from models.common.safetensors_file import DamagedHeaderError, read_header

LFS_POINTER = b"version https://git-lfs"
HTML = (b"<!doctype html", b"<html")
LEGACY_TORCH = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
"""First bytes of a `torch.save` file before PyTorch 1.6, whose format has no end marker: truncation is not detected."""
TORCH_SUFFIXES = frozenset({".pth", ".pt", ".pt2", ".ckpt", ".bin", ".tar"})


def integrity_error(path: Path) -> str | None:
    """Describe damage to a weight file, as a predicate to follow its path ("is empty"); None if no damage is detected.

    Raises:
        OSError: the file cannot be read.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        return "is not a file"
    with path.open("rb") as file:
        start = file.read(4096)
    if status.st_size == 0:
        return "is empty"
    if start.startswith(LFS_POINTER):
        return "is a Git LFS pointer, not the file itself"
    if start.lstrip().lower().startswith(HTML):
        return "is a web page, not the file itself"
    if path.suffix == ".safetensors":
        return _safetensors(path)
    if path.suffix in TORCH_SUFFIXES and not start.startswith(LEGACY_TORCH) and not zipfile.is_zipfile(path):
        return "is truncated, or not a PyTorch file"
    if path.suffix == ".json":
        return _json(path)
    return None


def _safetensors(path: Path) -> str | None:
    try:
        read_header(path)
    except DamagedHeaderError as error:
        return str(error)
    return None


def _json(path: Path) -> str | None:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return "is damaged: it is not valid JSON"
    return None
