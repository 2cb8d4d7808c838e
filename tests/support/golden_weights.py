"""Weights and inputs of the parity cases in `tests/golden`, generated from names, shapes and seeds.

A tensor is drawn by a Philox generator with the key (CRC-32 of the tensor's name, seed). Its values use integer
arithmetic, exactly rounded float64 products and one rounding to float32, so every platform generates the same bytes.
The exception are the sinusoidal tables, which depend on the `sin` and `cos` of the C library.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.float32]
Kind = Literal["normal", "uniform", "zeros"]
Layout = Literal["plain", "state_dict+step", "module", "under_module", "image_proj"]

SUM_MEAN = 2 * (2**16 - 1)
SUM_STD = math.sqrt((2.0**32 - 1) / 3)
"""Mean and standard deviation of the sum of four independent uniform 16-bit integers."""


def random_words(name: str, seed: int, count: int) -> NDArray[np.uint64]:
    """`count` uniform 64-bit integers."""
    key = np.array([zlib.crc32(name.encode()), seed], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).integers(0, 2**64, count, dtype=np.uint64)


def normal(name: str, shape: Sequence[int], seed: int, std: float = 1.0) -> Array:
    """Approximately normal values (Irwin-Hall, n = 4), mean 0, |value| < 3.47 `std`."""
    words = random_words(name, seed, math.prod(shape)).view(np.uint16).reshape(-1, 4)
    sums = words.sum(axis=1, dtype=np.int64)
    return ((sums - SUM_MEAN) * (std / SUM_STD)).astype(np.float32).reshape(shape)


def uniform(name: str, shape: Sequence[int], seed: int) -> Array:
    """Multiples of 2**-24 in [0, 1)."""
    words = random_words(name, seed, math.prod(shape)) >> np.uint64(40)
    return (words.astype(np.float64) * 2.0**-24).astype(np.float32).reshape(shape)


def sinusoidal_table(shape: Sequence[int]) -> Array:
    """Position table (1, length, width) of Vaswani et al. 2017, section 3.5: sines in even columns."""
    _, length, width = shape
    angles = np.arange(length)[:, None] / 10000.0 ** (np.arange(0, width, 2) / width)
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(shape).astype(np.float32)


def weight(key: str, shape: Sequence[int], seed: int) -> Array:
    """Value of the checkpoint entry `key`: the initialisation follows from its name and its number of dimensions."""
    if key.endswith(("pos_encoder.pe", "pos_table")):
        return sinusoidal_table(shape)
    if key.endswith("latents"):  # learned queries of a resampler
        return normal(key, shape, seed)
    if len(shape) > 1:  # variance 1 / fan-in
        return normal(key, shape, seed, 1.0 / math.sqrt(math.prod(shape[1:])))
    if key.endswith(
        "running_var"
    ):  # half, as the variance behind a ReLU: activations keep their size through a network
        return np.float32(0.5) + normal(key, shape, seed, 0.05)
    if key.endswith("weight"):  # scales of normalisation layers
        return np.float32(1.0) + normal(key, shape, seed, 0.1)
    return normal(key, shape, seed, 0.05)  # biases


def network_input(name: str, shape: Sequence[int], seed: int = 0, kind: Kind = "normal") -> Array:
    """Input `name` of a network."""
    if kind == "zeros":
        return np.zeros(shape, np.float32)
    return (normal if kind == "normal" else uniform)(name, shape, seed)


def read_shapes(path: Path) -> dict[str, list[int]]:
    """Shape of each entry of a checkpoint, in the order of the published file."""
    return dict(json.loads(path.read_text()))


def state_dict(shapes: Mapping[str, Sequence[int]], seed: int) -> dict[str, torch.Tensor]:
    """All entries of a checkpoint."""
    return {key: torch.from_numpy(weight(key, shape, seed)) for key, shape in shapes.items()}


def never_run(shapes: Mapping[str, Sequence[int]]) -> dict[str, torch.Tensor]:
    """Entries of a checkpoint that no test computes with: views of one run of zeros, of a byte each."""
    zeros = torch.zeros(max(math.prod(shape) for shape in shapes.values()), dtype=torch.uint8)
    return {key: zeros[: math.prod(shape)].view(*shape) for key, shape in shapes.items()}


def write_checkpoint(path: Path, tensors: dict[str, torch.Tensor], layout: Layout) -> None:
    """Saves a checkpoint as published: the state dict alone; under `state_dict` beside a step number, or with names of
    data-parallel training; under `module`; or as one of several parts.
    """
    wrapped = {
        "plain": lambda: tensors,
        "state_dict+step": lambda: {"state_dict": tensors, "step": 0},
        "module": lambda: {"state_dict": {f"module.{key}": tensor for key, tensor in tensors.items()}},
        "under_module": lambda: {"module": tensors},
        "image_proj": lambda: {"image_proj": tensors, "ip_adapter": {}},
    }
    torch.save(wrapped[layout](), path)


def checksum(tensors: Mapping[str, torch.Tensor]) -> str:
    """CRC-32 of the bytes of all tensors in order, as eight hexadecimal digits."""
    crc = 0
    for tensor in tensors.values():
        crc = zlib.crc32(tensor.numpy().tobytes(), crc)
    return f"{crc:08x}"
