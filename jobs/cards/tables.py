"""What the cards of embedded checkpoints have in common: their files, and how each was made, by their own metadata."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from models.common.checkpoint import read_metadata
from models.common.digest import file_digest


def file_table(paths: Sequence[Path]) -> str:
    """A Markdown table of checkpoints: bytes, digest, training steps, date, minutes.

    Raises:
        CheckpointError: a file is absent, or was not written by `save_checkpoint`.
    """
    rows = ["| file | bytes | digest | steps | date | minutes |", "|---|---|---|---|---|---|"]
    for path in paths:
        about = read_metadata(path)
        rows.append(
            f"| `{path.name}` | {path.stat().st_size} | `{file_digest(path)}` | {about['steps']} "
            f"| {about['date']} | {about['minutes']} |"
        )
    return "\n".join(rows)


def run_list(paths: Sequence[Path]) -> str:
    """A Markdown list of the machine and the settings that each checkpoint was trained on and with."""
    runs = []
    for path in paths:
        about = read_metadata(path)
        runs.append(f"- `{path.stem}` on {about['machine']}: `{json.dumps(about['settings'], sort_keys=True)}`")
    return "\n".join(runs)
