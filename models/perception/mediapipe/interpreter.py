"""Inference of TensorFlow Lite networks with LiteRT on one thread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.common.digest import CheckpointError

Shape = tuple[int, ...]


class TfliteNetwork:
    """TensorFlow Lite graph with one float32 image (1, S, S, 3) as input, and float32 outputs (1, …).

    `side_px`: side S of the input.
    """

    def __init__(self, path: Path, *, side_px: int, output_shapes: Sequence[Shape], black: float = 0.0) -> None:
        """Open the file.

        `output_shapes`: of the outputs in the graph's order, without the first dimension. `black`: value of level 0 in
        the input; that of 255 is 1.

        Raises:
            CheckpointError: LiteRT is not installed, or the file is absent, damaged, or has other inputs or outputs.
        """
        if not path.is_file():
            raise CheckpointError(f"no TensorFlow Lite file at {path}")
        interpreter_of = _interpreter()
        try:
            self.interpreter = interpreter_of(model_path=str(path), num_threads=1)
            self.interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise CheckpointError(
                f"cannot open {path} as TensorFlow Lite: {reason}. It is damaged or of another format."
            ) from error
        inputs, outputs = self.interpreter.get_input_details(), self.interpreter.get_output_details()
        found = [(tuple(map(int, tensor["shape"])), tensor["dtype"]) for tensor in (*inputs, *outputs)]
        shapes = [(1, side_px, side_px, 3), *((1, *shape) for shape in output_shapes)]
        if len(inputs) != 1 or found != [(shape, np.float32) for shape in shapes]:
            raise CheckpointError(
                f"{path} is of another network: expected one float32 input {shapes[0]} and outputs {shapes[1:]}, "
                f"got {[shape for shape, _ in found]}"
            )
        self.side_px, self.black = side_px, black
        self._input: int = inputs[0]["index"]
        self._outputs: list[int] = [output["index"] for output in outputs]

    def run(self, crop_SS3: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Outputs (…) of one crop (S, S, 3) RGB, without the first dimension."""
        image = np.multiply(crop_SS3, (1 - self.black) / 255, dtype=np.float32) + np.float32(self.black)
        self.interpreter.set_tensor(self._input, image[None])
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(index)[0] for index in self._outputs]


def _interpreter() -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise CheckpointError("TensorFlow Lite files need LiteRT: pip install ai-edge-litert") from error
    return Interpreter
