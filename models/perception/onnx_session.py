"""Inference of ONNX networks with onnxruntime on the CPU or a CUDA device."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.common.digest import CheckpointError
from models.finite import NotFiniteError, check_finite

logger = logging.getLogger(__name__)

CUDA_PROVIDER = "CUDAExecutionProvider"
CPU_PROVIDER = "CPUExecutionProvider"

BATCH_IMAGES = 8
"""Batch size for a graph with a dynamic batch dimension."""

Shape = tuple[int, ...]


def missing_cuda() -> str | None:
    """Describe why onnxruntime has no CUDA support and how to install it; None if its CUDA provider is installed.

    An installed provider may still fail to start: it also needs the CUDA and cuDNN versions that it was built for.

    Raises:
        CheckpointError: onnxruntime is not installed.
    """
    available = _onnxruntime().get_available_providers()
    if CUDA_PROVIDER in available:
        return None
    return (
        f"the installed onnxruntime has no {CUDA_PROVIDER} (it has {', '.join(available)}): "
        "replace the package onnxruntime by onnxruntime-gpu"
    )


class OnnxNetwork:
    """ONNX graph with one float32 input (N, …) and one or more outputs (N, …).

    Uses as many threads as torch at construction.

    `inputs`: (B, …) float32 input buffer of `run`, with batch size B, reused because allocating 5 MB per frame takes
    longer than filling them.
    `provider`: name of the execution provider in use.
    """

    def __init__(
        self, path: Path, *, input_shape: Shape, output_shapes: Sequence[Shape], device: torch.device | str = "cpu"
    ) -> None:
        """Open the file and run it once on zeros.

        `input_shape`, `output_shapes`: without N. If onnxruntime cannot use a requested CUDA device, the network runs
        on the CPU, about a hundred times slower, and a warning is logged.

        Raises:
            CheckpointError: onnxruntime is not installed, or the file is absent, damaged, or has other inputs or
                outputs.
        """
        runtime = _onnxruntime()
        if not path.is_file():
            raise CheckpointError(f"no ONNX file at {path}")
        device = torch.device(device)
        reason = missing_cuda() if device.type == "cuda" else None
        providers: list[Any] = [CPU_PROVIDER]
        if device.type == "cuda" and reason is None:
            providers.insert(0, (CUDA_PROVIDER, {"device_id": device.index or 0}))
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        try:
            self.session = runtime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # onnxruntime's exceptions share no base class but this
            raise CheckpointError(
                f"cannot open {path} as ONNX: {_first_line(error)}. It is damaged or of another format."
            ) from error
        self.path, self.input_shape, self.output_shapes = path, input_shape, tuple(output_shapes)
        self.provider: str = self.session.get_providers()[0]
        if device.type == "cuda" and self.provider != CUDA_PROVIDER:
            reason = reason or f"its {CUDA_PROVIDER} did not start; see onnxruntime's own messages"
            logger.warning("%s RUNS ON THE CPU, although %s was asked for: %s", path.name, device, reason)
        self.inputs = np.zeros((self._checked_batch(), *input_shape), np.float32)
        try:
            self.run(1)
        except NotFiniteError as error:
            raise CheckpointError(f"{path} holds damaged weights: {error}") from error

    def run(self, num_images: int) -> list[NDArray[np.float32]]:
        """Run the first `num_images` of `inputs` and return the outputs (num_images, …).

        Raises:
            CheckpointError: the graph fails, or an output has another shape than expected.
            NotFiniteError: an output holds NaN or infinity.
        """
        images = self.inputs[:num_images]
        try:
            outputs: list[NDArray[np.float32]] = self.session.run(None, {self.session.get_inputs()[0].name: images})
        except Exception as error:
            raise CheckpointError(f"{self.path} does not run on {images.shape}: {_first_line(error)}") from error
        expected = [(num_images, *shape) for shape in self.output_shapes]
        if (shapes := [output.shape for output in outputs]) != expected:
            raise CheckpointError(f"{self.path} is of another network: expected outputs {expected}, got {shapes}")
        for output in outputs:
            check_finite(output, f"output of {self.path.name}")
        return outputs

    def _checked_batch(self) -> int:
        """Batch size of the graph, after validation of its input."""
        inputs = self.session.get_inputs()
        signature = [(entry.type, tuple(entry.shape)) for entry in inputs]
        if len(inputs) == 1 and inputs[0].type == "tensor(float)" and len(inputs[0].shape) == len(self.input_shape) + 1:
            batch, *rest = inputs[0].shape
            # A dynamic dimension is a name or None.
            fits = all(
                got == want or not isinstance(got, int) for got, want in zip(rest, self.input_shape, strict=True)
            )
            if fits and (batch == 1 or not isinstance(batch, int)):
                return 1 if batch == 1 else BATCH_IMAGES
        raise CheckpointError(
            f"{self.path} is of another network: expected one float32 input (1 or any number, "
            f"{', '.join(map(str, self.input_shape))}), got {signature}"
        )


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise CheckpointError(
            "ONNX files need onnxruntime: pip install 'zoetrope[onnx]', or onnxruntime-gpu for a CUDA device"
        ) from error
    return onnxruntime


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
