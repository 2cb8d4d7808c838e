"""Loading of TorchScript files, which contain code as well as weights."""

from __future__ import annotations

from pathlib import Path

import torch

from models.common.digest import CheckpointError


def load_torchscript(path: Path, *, allowed: bool, device: torch.device | str = "cpu") -> torch.jit.ScriptModule:
    """Load a TorchScript archive, in evaluation mode.

    `allowed`: explicit permission by the user, since loading the file can execute code in it.

    Raises:
        CheckpointError: loading is not allowed, or the file is absent, truncated or of another format.
    """
    if not allowed:
        raise CheckpointError(
            f"{path} is a TorchScript file, which can execute code when it is opened; if you trust where it "
            "came from, allow it with --allow-torchscript"
        )
    if not path.is_file():
        raise CheckpointError(f"no TorchScript file at {path}")
    try:
        module: torch.jit.ScriptModule = torch.jit.load(str(path), map_location=device)  # type: ignore[no-untyped-call]
    except Exception as error:  # damaged archives raise almost anything
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CheckpointError(
            f"cannot open {path} as TorchScript: {reason}. It is damaged or of another format."
        ) from error
    module.eval()
    return module
