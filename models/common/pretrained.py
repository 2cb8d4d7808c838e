"""Strict, offline loading of transformers and diffusers models from a published folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.common.digest import CheckpointError, shortened


def load_pretrained(architecture: Any, folder: Path, *, other_parts: tuple[str, ...] = (), **options: Any) -> Any:
    """`architecture.from_pretrained(folder)` in evaluation mode; missing or unexpected tensors are errors.

    `architecture`: a model class of transformers or diffusers. `folder`: holds `config.json` and `*.safetensors`, or
    `pytorch_model.bin`, from which only tensors are unpickled. `other_parts`: beginnings of the names of tensors that
    belong to another network in the same file.

    Raises:
        CheckpointError: the folder is absent, its files are damaged, or a tensor is missing, unexpected or misshapen.
            (The libraries initialise missing tensors at random and continue.)
    """
    if not (folder / "config.json").is_file():
        raise CheckpointError(
            f"{folder} has no config.json: expected the published folder of a {architecture.__name__}"
        )
    safe = any(folder.glob("*.safetensors")) or not (folder / "pytorch_model.bin").is_file()
    if not safe:
        options["weights_only"] = True
    try:
        with _quiet():
            network, info = architecture.from_pretrained(
                str(folder), local_files_only=True, use_safetensors=safe, output_loading_info=True, **options
            )
    except Exception as error:
        raise CheckpointError(f"cannot load a {architecture.__name__} from {folder}: {error}") from error
    mismatches = {
        kind: sorted(str(name) for name in info.get(f"{kind}_keys", ()))
        for kind in ("missing", "unexpected", "mismatched")
    }
    mismatches["unexpected"] = [name for name in mismatches["unexpected"] if not name.startswith(other_parts)]
    if any(mismatches.values()):
        shown = "; ".join(f"{len(names)} {kind} ({shortened(names)})" for kind, names in mismatches.items() if names)
        raise CheckpointError(f"{folder} does not fit {architecture.__name__}: {shown}")
    return network.eval().requires_grad_(False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence loading reports and progress bars of the libraries; their warnings are raised as errors here."""
    from transformers.utils import logging as reports

    loggers = [logging.getLogger(name) for name in ("transformers", "diffusers")]
    levels = [logger.level for logger in loggers]
    bars = reports.is_progress_bar_enabled()
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    reports.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bars:
            reports.enable_progress_bar()  # type: ignore[no-untyped-call]
