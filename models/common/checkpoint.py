"""Loading and saving of checkpoints. Loading is strict: all tensors of a network, or an error."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from models.common.atomic import atomic_path
from models.common.digest import CheckpointError, shortened
from models.common.safetensors_file import OWN_METADATA, DamagedHeaderError, read_header
from models.common.torch_file import load_torch_file

NetworkT = TypeVar("NetworkT", bound=nn.Module)


def load_checkpoint(module: nn.Module, path: Path) -> None:
    """Load the tensors of a file into `module`, cast to the module's dtypes.

    Raises:
        CheckpointError: the file is absent or damaged, a key is missing or unexpected, or a tensor has another shape.
            The module is then unchanged.
    """
    fill(module, read_tensors(path), path)


def load_new(new_network: Callable[[], NetworkT], path: Path) -> NetworkT:
    """A new network with the tensors of a file, cast to the network's dtypes.

    The shapes are compared before the network is allocated: its configuration may come from the same untrusted file.

    Raises:
        CheckpointError: as `load_checkpoint`.
    """
    tensors = read_tensors(path)
    with torch.device("meta"):
        module = new_network()
        _check_fit(module.state_dict(), tensors, path, type(module).__name__)
    network = new_network()
    fill(network, tensors, path)
    return network


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read all tensors of a `.safetensors` file or of a `torch.save` file (`.pth`, `.pt`, `.ckpt`, `.bin`).

    A `torch.save` file holds a state dict, at the top level or under `state_dict` or `model`, or several by name, which
    then begins the names of their tensors; the prefix `module.` of data-parallel training is removed from names. Only
    tensors are unpickled, and only such as the file has the bytes of.

    Raises:
        CheckpointError: the file is absent, damaged, or holds no state dict. Nothing else is raised.
    """
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    loaded = load_torch_file(path)
    for wrapping in ("state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapping), dict):
            loaded = loaded[wrapping]
    if isinstance(loaded, dict) and loaded and all(isinstance(part, dict) for part in loaded.values()):
        loaded = {f"{name}.{key}": value for name, part in loaded.items() for key, value in part.items()}
    if not isinstance(loaded, dict) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise CheckpointError(f"{path} holds a {type(loaded).__name__}, expected a state dict of tensors")
    tensors = {str(key).removeprefix("module."): value for key, value in loaded.items()}
    if len(tensors) < len(loaded):
        raise CheckpointError(f"{path} gives a tensor twice, with and without the prefix 'module.'")
    return tensors


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        read_header(path)
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (safe_open is no mapping)
    except DamagedHeaderError as error:
        raise CheckpointError(f"cannot read the checkpoint {path}: it {error}") from error
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise CheckpointError(f"cannot read the checkpoint {path}: {reason}") from error


def fill(
    module: nn.Module,
    tensors: Mapping[str, torch.Tensor],
    path: Path,
    *,
    holds: Callable[[str], bool] = lambda name: True,  # noqa: ARG005
) -> None:
    """Load tensors read from `path` into `module`, cast to the module's dtypes.

    A module on the `meta` device is assigned the tensors themselves, without a cast.

    `holds`: whether the file holds the tensor of this name; the module keeps its others.

    Raises:
        CheckpointError: a key is missing or unexpected, or a tensor has another shape. The module is then unchanged.
    """
    own = module.state_dict()
    expected = {name: tensor for name, tensor in own.items() if holds(name)}
    _check_fit(expected, tensors, path, type(module).__name__)
    on_meta = any(value.is_meta for value in own.values())
    module.load_state_dict(tensors, strict=False, assign=on_meta)


def _check_fit(
    expected: Mapping[str, torch.Tensor], tensors: Mapping[str, torch.Tensor], path: Path, network: str
) -> None:
    missing = [key for key in expected if key not in tensors]
    unexpected = [key for key in tensors if key not in expected]
    misshapen = [
        f"{key} {tuple(tensors[key].shape)} instead of {tuple(expected[key].shape)}"
        for key in expected
        if key in tensors and tensors[key].shape != expected[key].shape
    ]
    mismatches = [("missing", missing), ("unexpected", unexpected), ("misshapen", misshapen)]
    if problems := "; ".join(f"{len(names)} {kind} ({shortened(names)})" for kind, names in mismatches if names):
        raise CheckpointError(
            f"the checkpoint {path} does not fit {network}: {problems}. "
            "It belongs to another network or another configuration of it."
        )


def save_checkpoint(
    tensors: Mapping[str, torch.Tensor],
    path: Path,
    *,
    metadata: Mapping[str, object],
    float_dtype: torch.dtype = torch.float32,
) -> None:
    """Write tensors and JSON metadata to a safetensors file, atomically.

    `float_dtype`: stored dtype of floating-point tensors; others keep theirs.
    """
    stored = {
        key: (tensor.to(float_dtype) if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for key, tensor in tensors.items()
    }
    with atomic_path(path) as temporary:
        save_file(stored, temporary, metadata={OWN_METADATA: json.dumps(dict(metadata), sort_keys=True)})
        temporary.chmod(0o644)  # safetensors creates files with mode 0600
