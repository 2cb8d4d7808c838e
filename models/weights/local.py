"""Places of weights of the user's own training, and the names by which rows call them."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

MAX_LABEL_CHARS = 60
_FILES = ("weights", "network", "figure", "object", "face", "vae", "image_encoder")
"""Names of files that say less than that of their folder."""


def is_path(model: str) -> bool:
    """Whether a model is the absolute place of trained weights, not a name."""
    return model.startswith("/") or "://" in model


def folder_label(place: str) -> str:
    """Name of a run, a publication or a file by the folder that says most: that of the run, with the step of a
    checkpoint.
    """
    path = PurePosixPath(place.removesuffix(".safetensors"))
    if path.name in _FILES and place.endswith(".safetensors"):
        path = path.parent
    label = path.name
    if label == "published":
        label = f"{path.parent.name}-{label}"
    elif path.parent.name == "checkpoints" and label.startswith("step-"):
        label = f"{path.parent.parent.name}-{label}"
    return re.sub(r"[^A-Za-z0-9._-]", "_", label)[:MAX_LABEL_CHARS] or "model"
