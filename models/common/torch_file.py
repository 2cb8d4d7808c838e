"""Files of `torch.save` from untrusted sources: tensors and plain containers only, and no more memory than the file has
bytes.
"""

from __future__ import annotations

import pickle
import stat
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from models.common.digest import CheckpointError

MAX_DEPTH = 8
"""Nested containers above this depth are refused: state dicts and optimizer states have three levels."""


def load_torch_file(path: Path) -> Any:
    """Content of a file that `torch.save` wrote, on the CPU.

    Raises:
        CheckpointError: it is absent, no file, damaged, holds code, is compressed, or claims tensors that are not in
            it.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise CheckpointError(f"cannot read the checkpoint {path}: it is not a file")
        _check_archive(path, status.st_size)
        with warnings.catch_warnings(action="ignore"):  # about odd pickles, which are refused or harmless
            content = torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        # Its message advises to load without this protection.
        raise CheckpointError(
            f"cannot read the checkpoint {path}: it is damaged, or holds other objects than tensors"
        ) from error
    except Exception as error:  # unpickling damaged data raises almost anything
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CheckpointError(f"cannot read the checkpoint {path}: {reason}") from error
    _check_tensors(content, path, status.st_size)
    return content


def _check_archive(path: Path, size_bytes: int) -> None:
    """Check the sizes in the directory of an archive. `torch.save` compresses nothing; a compressed entry may unfold to
    any size.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if any(entry.filename.endswith("/constants.pkl") for entry in entries):
        raise CheckpointError(
            f"cannot read the checkpoint {path}: it is TorchScript, which has code beside its tensors"
        )
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise CheckpointError(f"cannot read the checkpoint {path}: it is compressed, as torch.save never does")
    if (claimed := sum(entry.file_size for entry in entries)) > size_bytes:
        raise CheckpointError(f"cannot read the checkpoint {path}: it has {size_bytes} bytes and claims {claimed}")


def _check_tensors(content: Any, path: Path, size_bytes: int) -> None:
    """Check that the elements of all tensors are in the file: a view or a sparse tensor may unfold to any size."""
    storages: dict[int, int] = {}
    for tensor in _tensors(content, path):
        if tensor.is_meta or tensor.is_quantized or tensor.is_complex() or tensor.layout != torch.strided:
            raise CheckpointError(
                f"cannot read the checkpoint {path}: it holds a tensor that is not plain "
                f"({tensor.layout}, {tensor.dtype}, {tensor.device})"
            )
        storage = tensor.untyped_storage()
        if tensor.numel() * tensor.element_size() > storage.nbytes():
            raise CheckpointError(
                f"cannot read the checkpoint {path}: a tensor of shape {tuple(tensor.shape)} has "
                f"{storage.nbytes()} bytes in the file"
            )
        storages[storage.data_ptr()] = storage.nbytes()
    if (claimed := sum(storages.values())) > size_bytes:
        raise CheckpointError(f"cannot read the checkpoint {path}: it has {size_bytes} bytes and claims {claimed}")


def _tensors(content: Any, path: Path, depth: int = 0) -> Iterator[torch.Tensor]:
    if isinstance(content, torch.Tensor):
        yield content
    elif isinstance(content, dict | list | tuple | set):
        if depth == MAX_DEPTH:
            raise CheckpointError(f"cannot read the checkpoint {path}: it is nested more than {MAX_DEPTH} levels deep")
        for value in content.values() if isinstance(content, dict) else content:
            yield from _tensors(value, path, depth + 1)
