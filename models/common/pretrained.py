"""Networks of transformers and diffusers from a published folder: whole or an error, and never from the network."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.common.digest import CheckpointError

NUM_NAMES_SHOWN = 5


def load_pretrained(architecture: Any, folder: Path, **options: Any) -> Any:
    """`architecture.from_pretrained(folder)` in evaluation mode, every tensor accounted for.

    `architecture`: a model class of transformers or diffusers; `folder` holds `config.json` and its `*.safetensors`, or
    where its publisher has none, `pytorch_model.bin`, of which only tensors are read.

    Raises:
        CheckpointError: the folder is absent, its files are damaged, or a tensor is missing, unexpected or misshapen.
            (The libraries themselves fill what is missing with random numbers and go on.)
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
    wrong = {
        kind: sorted(str(name) for name in info.get(f"{kind}_keys", ()))
        for kind in ("missing", "unexpected", "mismatched")
    }
    if any(wrong.values()):
        shown = "; ".join(f"{len(names)} {kind} ({_shown(names)})" for kind, names in wrong.items() if names)
        raise CheckpointError(f"{folder} does not fit {architecture.__name__}: {shown}")
    return network.eval().requires_grad_(False)


def _shown(names: list[str]) -> str:
    rest = len(names) - NUM_NAMES_SHOWN
    return ", ".join(names[:NUM_NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


@contextmanager
def _quiet() -> Iterator[None]:
    """No loading reports and no progress bars of the libraries: what they warn of is raised here."""
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
