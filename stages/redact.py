"""Redaction of secrets in logs, records and reports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"

# `key` alone or as the last word of a compound that names a credential: `keypoints` and `stage_keys` stay readable.
_SECRET_NAME = re.compile(
    r"secret|passw(?:or)?d|passphrase|credential|signature|token(?!i|s\b)"
    r"|(?:api|access|private|account|shared|encryption)_?key|(?<![a-z])key(?![a-z])",
    re.IGNORECASE,
)
_KEYS_OF_ROWS = frozenset({"pipeline_key", "recipe_key", "work_key", "clip_key", "scene_key"})
"""Digests, which are no secrets."""
# A secret may contain a slash, as those of AWS do. A path ends where another URI is chained to it (`::`).
_URI = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<user>[^/\s?#]*@|[^/:\s?#]+:(?!\d+/)[^:\s?#]*@)?"
    r"(?P<path>\[[0-9a-f:.]+\](?=[:/])|(?:(?!::)[^\s?#'\"<>])*)(?P<rest>(?:(?!::)[^\s?#'\"<>])*)"
    r"(?P<query>\?[^\s#'\"<>]*)?",
    re.IGNORECASE,
)
_ASSIGNMENT = re.compile(
    r"(?P<name>\b\w*(?:secret|token|passw(?:or)?d|pwd|(?:access|account|api)_?key|signature)\w*\s*=\s*)[^\s;,&'\"]+",
    re.IGNORECASE,
)


def redact(value: Any, name: str = "") -> Any:
    """Copy of a nested value with secrets replaced by `***`: values with a secret's name, and parts of URIs in strings.

    Sequences and sets become lists.
    """
    if isinstance(value, Mapping):
        return {key: redact(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(inner, name) for inner in value]
    if value is None or isinstance(value, bool):
        return value
    if _SECRET_NAME.search(name) and name not in _KEYS_OF_ROWS:
        return HIDDEN
    return redact_text(value) if isinstance(value, str) else value


def redact_text(text: str) -> str:
    """Redact user names, passwords and queries of URIs, and values assigned to secret names."""
    return _ASSIGNMENT.sub(rf"\g<name>{HIDDEN}", _URI.sub(_bare_uri, text))


def _bare_uri(match: re.Match[str]) -> str:
    user = f"{HIDDEN}@" if match["user"] else ""
    query = f"?{HIDDEN}" if match["query"] else ""
    return f"{match['scheme']}{user}{match['path']}{match['rest']}{query}"
