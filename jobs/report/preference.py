"""Preference sheet: a self-contained page that shows pairs of animations blind and records choices."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.report.render import template_environment

MAX_MEDIA_BYTES = 192 * 2**20
"""Maximum size of the media in one page. Browsers fail at a few hundred MiB."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownPair:
    """Media of one pair: two animations, and the picture and video that made them, where they are at hand."""

    left_mp4: bytes
    right_mp4: bytes
    reference_webp: bytes | None = None
    driving_mp4: bytes | None = None


def sheet_digest(pairs: Sequence[ShownPair]) -> str:
    """Digest of a sheet: SHA-256 of its animations, in their order and on their sides."""
    digest = hashlib.sha256()
    for pair in pairs:
        for data in (pair.left_mp4, pair.right_mp4):
            digest.update(hashlib.sha256(data).digest())
    return digest.hexdigest()


def render_sheet(pairs: Sequence[ShownPair], *, questions: Mapping[str, str], choices_kind: str) -> str:
    """Render the page. It says nothing of where the animations come from.

    Args:
        pairs: in the order of the page.
        questions: name in the file of choices -> title.
        choices_kind: value of `zoetrope` in the file of choices.

    Raises:
        ValueError: there is no pair, or the media exceed `MAX_MEDIA_BYTES`.
    """
    if not pairs:
        raise ValueError("a preference sheet needs at least one pair")
    num_bytes = sum(len(data) for pair in pairs for data in _media(pair).values() if data is not None)
    if num_bytes > MAX_MEDIA_BYTES:
        raise ValueError(
            f"the {len(pairs)} pairs have {num_bytes / 2**20:.0f} MiB of media, a page holds {MAX_MEDIA_BYTES >> 20}; "
            "give --limit"
        )
    content: dict[str, Any] = {
        "kind": choices_kind,
        "sheet": sheet_digest(pairs),
        "pairs": [{name: _text(data) for name, data in _media(pair).items()} for pair in pairs],
    }
    # No "<" within the script element, whatever the content.
    data = json.dumps(content).replace("<", "\\u003c")
    template = template_environment().get_template("preference.html")
    return template.render(data=data, questions=questions, num_pairs=len(pairs))


def _media(pair: ShownPair) -> dict[str, bytes | None]:
    return {
        "left": pair.left_mp4,
        "right": pair.right_mp4,
        "reference": pair.reference_webp,
        "driving": pair.driving_mp4,
    }


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()
