"""Run records in checkpoint metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def recorded_model(run: Mapping[str, Any]) -> str:
    """Name of the model in a run record, also of a record with a `size` (before models had names of their own)."""
    model = run["model"]
    name: str = model["name"]
    return f"{name}-puppets" if model.get("size") == "embedded" else name
