"""Presence of weights on this machine, judged by sizes and headers, without reading whole files."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from models.weights.entry import File, Weights
from models.weights.integrity import integrity_error
from models.weights.resolve import locate
from models.weights.web import ROUNDING, ROUNDING_BYTES


class Presence(StrEnum):
    """Whether the files of an entry are on this machine."""

    HERE = "here"
    INCOMPLETE = "incomplete"
    """A file is damaged, shorter than published, or missing beside others."""
    MISSING = "-"


def presence(weights: Weights, folder: Path | None) -> Presence:
    """Presence of all files of an entry."""
    located = locate(weights, folder)
    found = {name: path for name, path in located.items() if path is not None}
    if not found:
        return Presence.MISSING
    whole = all(file.name in found and file_problem(file, found[file.name]) is None for file in weights.files)
    return Presence.HERE if whole else Presence.INCOMPLETE


def file_problem(file: File, path: Path) -> str | None:
    """Damage to a file, or a size below the published one, as a predicate to follow its path; None if there is none.

    Sizes in the catalogue may be rounded, and small ones are estimates.
    """
    if damage := integrity_error(path):
        return damage
    size_bytes = path.stat().st_size
    if file.size_bytes is not None and size_bytes < file.size_bytes / ROUNDING - ROUNDING_BYTES:
        return f"has {size_bytes} bytes, about {file.size_bytes} are published"
    return None
