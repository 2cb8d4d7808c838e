"""Reading and writing of safetensors checkpoints: all of a network's tensors or an error, never a part of them."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from models.common.atomic import atomic_path
from models.common.digest import CheckpointError

NUM_NAMES_SHOWN = 5


def read_metadata(path: Path) -> dict[str, object]:
    """What `save_checkpoint` was given as `metadata`.

    Raises:
        CheckpointError: the file is absent, damaged or not written by `save_checkpoint`.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
    except (FileNotFoundError, SafetensorError, OSError) as error:
        raise CheckpointError(f"cannot read the checkpoint {path}: {error}") from error
    if "zoetrope" not in header:
        raise CheckpointError(f"{path} has no 'zoetrope' entry in its metadata: it was not written by this project")
    metadata: dict[str, object] = json.loads(header["zoetrope"])
    return metadata


def load_checkpoint(module: nn.Module, path: Path) -> None:
    """Fill `module` with the tensors of the file, cast to the module's own dtypes.

    Raises:
        CheckpointError: the file is absent or damaged, a key is missing or unexpected, or a tensor has another shape.
            The module is then left as it was.
    """
    fill(module, read_tensors(path), path)


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a `.safetensors` file, or of a file of `torch.save` (`.pth`, `.pt`, `.ckpt`, `.bin`) that holds a
    state dict, bare or under `state_dict` or `model`, with or without the `module.` that data-parallel training puts
    before names.

    Nothing but tensors is ever unpickled.

    Raises:
        CheckpointError: the file is absent, damaged, or holds something else.
    """
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (safe_open is no mapping)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise CheckpointError(f"cannot read the checkpoint {path}: {reason}") from error
    for wrapping in ("state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapping), dict):
            loaded = loaded[wrapping]
    if not isinstance(loaded, dict) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise CheckpointError(f"{path} holds a {type(loaded).__name__}, expected a state dict of tensors")
    return {str(key).removeprefix("module."): value for key, value in loaded.items()}


def fill(module: nn.Module, tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Fill `module` with tensors read from `path`, cast to the module's own dtypes.

    A module on the `meta` device takes the tensors themselves, as they are.

    Raises:
        CheckpointError: a key is missing or unexpected, or a tensor has another shape. The module is then left as it
            was.
    """
    expected = module.state_dict()
    missing = [key for key in expected if key not in tensors]
    unexpected = [key for key in tensors if key not in expected]
    misshapen = [
        f"{key} {tuple(tensors[key].shape)} instead of {tuple(expected[key].shape)}"
        for key in expected
        if key in tensors and tensors[key].shape != expected[key].shape
    ]
    found = [("missing", missing), ("unexpected", unexpected), ("misshapen", misshapen)]
    if problems := "; ".join(f"{len(names)} {kind} ({_shown(names)})" for kind, names in found if names):
        raise CheckpointError(
            f"the checkpoint {path} does not fit {type(module).__name__}: {problems}. "
            "It belongs to another network or another configuration of it."
        )
    on_meta = any(value.is_meta for value in expected.values())
    module.load_state_dict(tensors, strict=True, assign=on_meta)


def save_checkpoint(
    tensors: Mapping[str, torch.Tensor],
    path: Path,
    *,
    metadata: Mapping[str, object],
    float_dtype: torch.dtype = torch.float32,
) -> None:
    """Write tensors and JSON metadata; the file appears under its name whole or not at all.

    `float_dtype`: how floating-point tensors are stored; others stay as they are.
    """
    stored = {
        key: (tensor.to(float_dtype) if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for key, tensor in tensors.items()
    }
    with atomic_path(path) as temporary:
        save_file(stored, temporary, metadata={"zoetrope": json.dumps(dict(metadata), sort_keys=True)})
        temporary.chmod(0o644)  # safetensors creates files with mode 0600


def _shown(names: list[str]) -> str:
    rest = len(names) - NUM_NAMES_SHOWN
    return ", ".join(names[:NUM_NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
