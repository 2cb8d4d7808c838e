"""Paths and URLs that a person writes, on the command line or in a job file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

LOCAL_SCHEME = "file://"
LOCATION_SETTINGS = frozenset({"weights", "encoders", "truth", "scenery", "faces", "faces_truth"})
"""Names of the settings that are paths or URLs, in job files and recipes."""


def location(text: str) -> str:
    """Absolute path without `..`, since workers run in another folder; URLs of other schemes are returned unchanged.

    Raises:
        ValueError: an empty text.
    """
    text = text.removeprefix(LOCAL_SCHEME)
    if not text:
        raise ValueError("got an empty text, expected a path or a URL")
    if "://" in text:
        return text
    parts = Path(text).absolute().parts
    # As the operating system reads it: `..` after a symbolic link leaves the link's target. Later links stay, so that
    # rows name files as they were written.
    end = max((index + 1 for index, part in enumerate(parts) if part == ".."), default=0)
    return str(Path(*parts[:end]).resolve().joinpath(*parts[end:]) if end else Path(*parts))


def is_place(text: str, names: Collection[str]) -> bool:
    """Whether a text is a path or URL, not one of `names`. A bare word is a path if a folder is called so."""
    return text not in names and ("/" in text or text.endswith(".safetensors") or Path(text).is_dir())


def absolute_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Copy of nested settings with every setting of `LOCATION_SETTINGS` made absolute.

    Configurations of networks hold no paths, and use these names otherwise.
    """
    absolute: dict[str, Any] = {}
    for name, value in values.items():
        if name == "network":
            absolute[name] = value
        elif isinstance(value, Mapping):
            absolute[name] = absolute_settings(value)
        else:
            absolute[name] = location(value) if name in LOCATION_SETTINGS and isinstance(value, str) else value
    return absolute
