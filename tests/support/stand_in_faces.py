"""Small ONNX graphs in the form of YuNet's and AdaFace's files, which find and tell apart painted squares."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper
from stand_in_onnx import Dim, save_graph

FACE_PX = 64
"""Side of a found face in the 640 x 640 input."""
POINTS_PX = ((-16, -16), (16, -16), (0, 0), (-12, 16), (12, 16))
"""Eyes, nose and corners of the mouth from the corner of the red cell."""
_SIZES = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}


def save_yunet(path: Path, *, outputs: tuple[str, ...] = ("cls", "obj", "bbox", "kps")) -> None:
    """In the form of `face_detection_yunet_2023mar.onnx`. A face around each red cell of 32 x 32 pixels; the greener,
    the larger. `outputs`: those that the file has.
    """
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, NDArray[np.generic]] = {}
    for stride in (8, 16, 32):
        nodes.append(
            helper.make_node(
                "AveragePool", ["input"], [f"cells_{stride}"], kernel_shape=[stride] * 2, strides=[stride] * 2
            )
        )
        for name in outputs:
            weight, bias = _head(name, stride)
            constants |= {f"{name}_weight_{stride}": weight, f"{name}_bias_{stride}": bias}
            constants[f"{name}_shape_{stride}"] = np.array([1, _SIZES[name], -1])
            maps, rows = f"{name}_maps_{stride}", f"{name}_rows_{stride}"
            nodes += [
                helper.make_node(
                    "Conv", [f"cells_{stride}", f"{name}_weight_{stride}", f"{name}_bias_{stride}"], [maps]
                ),
                helper.make_node("Reshape", [maps, f"{name}_shape_{stride}"], [rows]),
                helper.make_node("Transpose", [rows], [f"{name}_{stride}"], perm=[0, 2, 1]),
            ]
    signature: dict[str, list[Dim]] = {
        f"{name}_{stride}": [1, (640 // stride) ** 2, _SIZES[name]] for name in outputs for stride in (8, 16, 32)
    }
    save_graph(path, nodes, constants, {"input": [1, 3, 640, 640]}, signature, opset=11)


def _head(name: str, stride: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight and bias of a 1 x 1 convolution of the mean colour (blue, green, red) of a cell."""
    weight = np.zeros((_SIZES[name], 3, 1, 1), np.float32)
    bias = np.zeros(_SIZES[name], np.float32)
    if name in ("cls", "obj"):
        weight[:, 2] = 1 / 255 if stride == 32 else 0  # only the coarsest cells find faces
    elif name == "bbox":
        bias[2:] = math.log(FACE_PX / stride)
        weight[2:, 1] = 1 / 255
    else:
        bias[:] = np.array(POINTS_PX, np.float32).ravel() / stride
    return weight, bias


def save_adaface(path: Path, *, batch: Dim = "batch", width: int = 512) -> None:
    """In the form of `adaface_ir_101.onnx`: mean colours of 4 x 4 parts of the face, through a fixed matrix."""
    matrix = np.random.default_rng(0).normal(size=(48, width)).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["input"], ["parts"], kernel_shape=[28, 28], strides=[28, 28]),
        helper.make_node("Flatten", ["parts"], ["row"]),
        helper.make_node("MatMul", ["row", "matrix"], ["embedding"]),
    ]
    save_graph(path, nodes, {"matrix": matrix}, {"input": [batch, 3, 112, 112]}, {"embedding": [batch, width]})
