"""Markdown shared by the cards of embedded checkpoints: tables, and the run list from checkpoint metadata."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from models.common.digest import file_digest
from models.common.safetensors_file import read_metadata

SHEET = "contact-sheet.webp"
"""Contact sheet beside a card."""


def file_table(paths: Sequence[Path]) -> str:
    """Markdown table of checkpoints: bytes, digest, training steps of the run and of those before it, date, minutes.

    Raises:
        CheckpointError: a file is absent, or was not written by `save_checkpoint`.
    """
    rows = ["| file | bytes | digest | steps | earlier steps | date | minutes |", "|---|---|---|---|---|---|---|"]
    for path in paths:
        metadata = read_metadata(path)
        rows.append(
            f"| `{path.name}` | {path.stat().st_size} | `{file_digest(path)}` | {metadata['steps']} "
            f"| {metadata.get('earlier_steps', '')} | {metadata['date']} | {metadata['minutes']} |"
        )
    return "\n".join(rows)


def run_list(paths: Sequence[Path]) -> str:
    """Markdown list of the training machine and settings of each checkpoint."""
    runs = []
    for path in paths:
        metadata = read_metadata(path)
        runs.append(f"- `{path.stem}` on {metadata['machine']}: `{json.dumps(metadata['settings'], sort_keys=True)}`")
    return "\n".join(runs)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("|".join(["", *(f" {cell} " if cell != "---" else cell for cell in line), ""]) for line in lines)
