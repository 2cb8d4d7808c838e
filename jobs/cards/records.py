"""Run records in checkpoint metadata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.common.digest import CheckpointError
from models.common.safetensors_file import read_metadata


def recorded_model(run: Mapping[str, Any]) -> str:
    """Name of the model in a run record, also of a record with a `size` (before models had names of their own)."""
    model = run["model"]
    name: str = model["name"]
    return f"{name}-puppets" if model.get("size") == "embedded" else name


def steps_so_far(path: Path) -> int:
    """Training steps of an embedded network's checkpoint, over all its runs.

    Raises:
        CheckpointError: the file is absent, damaged, or was written by another job.
    """
    metadata = read_metadata(path)
    try:
        return int(metadata["steps"]) + int(metadata.get("earlier_steps", 0))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} does not say in its metadata how long it was trained") from error
