"""Opening TorchScript files, which are programs as well as weights."""

from __future__ import annotations

from pathlib import Path

import torch

from models.common.digest import CheckpointError


def load_torchscript(path: Path, *, allowed: bool, device: torch.device | str = "cpu") -> torch.jit.ScriptModule:
    """The module of a TorchScript archive, in evaluation mode.

    `allowed`: whether the person who runs this asked for TorchScript by name: loading such a file can run code in it.

    Raises:
        CheckpointError: it is not allowed, or the file is absent, cut short or of another format.
    """
    if not allowed:
        raise CheckpointError(
            f"{path} is a TorchScript file, which can run code of its own when it is opened; if you trust where it "
            "came from, allow it with --allow-torchscript"
        )
    if not path.is_file():
        raise CheckpointError(f"no TorchScript file at {path}")
    try:
        module: torch.jit.ScriptModule = torch.jit.load(str(path), map_location=device)  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"cannot open {path} as TorchScript: {reason}. It is damaged or of another format."
        ) from error
    module.eval()
    return module
