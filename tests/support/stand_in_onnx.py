"""Small ONNX graphs in the form of DWPose's files, whose persons and keypoints are drawn into the frames.

A person is a red square with a blue dot in it. The detector gives each square a box: its height is `HEIGHT_PX` pixels
of the 640 x 640 input, more the greener the square. All 133 keypoints are at the bluest place of a crop.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

CELL_PX = 32
HEIGHT_PX = 64
GREEN_STRETCH = 2.0
"""A box is exp(this) times as large where green is 255."""
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""How the channels of a pose network's input are normalised."""

Dim = int | str


def save_graph(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: dict[str, NDArray[np.generic]],
    inputs: dict[str, list[Dim]],
    outputs: dict[str, list[Dim]],
    *,
    opset: int = 17,
) -> None:
    """Write a graph of these nodes, after the checks of ONNX."""
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def save_detector(path: Path, *, batch: Dim = 1, num_classes: int = 80) -> None:
    """In the form of `yolox_l.onnx`. A box for each of the 20 x 20 coarsest cells, the surer the redder."""
    weight = np.zeros((5 + num_classes, 3, 1, 1), np.float32)  # blue, green, red
    bias = np.zeros(5 + num_classes, np.float32)
    bias[:2] = 0.5  # the middle of the cell
    bias[2:4] = math.log(HEIGHT_PX / 2 / CELL_PX), math.log(HEIGHT_PX / CELL_PX)
    weight[2:4, 1] = GREEN_STRETCH / 255
    weight[4, 2], bias[4] = 1 / 128, -127 / 128
    bias[5] = 1
    nodes = [
        helper.make_node("AveragePool", ["images"], ["cells"], kernel_shape=[CELL_PX] * 2, strides=[CELL_PX] * 2),
        helper.make_node("Conv", ["cells", "weight", "bias"], ["maps"]),
        helper.make_node("Reshape", ["maps", "shape"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["coarse"], perm=[0, 2, 1]),
        helper.make_node("Pad", ["coarse", "finer"], ["output"]),
    ]
    constants = {
        "weight": weight,
        "bias": bias,
        "shape": np.array([0, 5 + num_classes, 400]),
        "finer": np.array([0, 8000, 0, 0, 0, 0]),
    }
    save_graph(path, nodes, constants, {"images": [batch, 3, 640, 640]}, {"output": [batch, 8400, 5 + num_classes]})


def save_pose(
    path: Path, *, batch: Dim = 1, num_keypoints: int = 133, blue_channel: int = 0, top_score: float = 1.0
) -> None:
    """In the form of `dw-ll_ucoco_384.onnx`. How blue the bluest pixel of each column and row is, 0–`top_score`."""
    nodes = [
        helper.make_node("Slice", ["input", "blue_channel", "next_channel", "one"], ["normalised"]),
        helper.make_node("Mul", ["normalised", "std"], ["scaled"]),
        helper.make_node("Add", ["scaled", "mean"], ["blue"]),
    ]
    for name, axis in (("x", 2), ("y", 3)):
        nodes += [
            helper.make_node("ReduceMax", ["blue"], [f"max_{name}"], axes=[axis], keepdims=0),
            helper.make_node("Resize", [f"max_{name}", "", "twice"], [f"bins_{name}"], mode="nearest"),
            helper.make_node("Mul", [f"bins_{name}", "each"], [f"simcc_{name}"]),
        ]
    constants = {
        "blue_channel": np.array([blue_channel]),
        "next_channel": np.array([blue_channel + 1]),
        "one": np.array([1]),
        "std": np.array(STD[blue_channel] / 255, np.float32),
        "mean": np.array(MEAN[blue_channel] / 255, np.float32),
        "twice": np.array([1, 1, 2], np.float32),
        "each": np.full((num_keypoints, 1), top_score, np.float32),
    }
    outputs: dict[str, list[Dim]] = {f"simcc_{n}": [batch, num_keypoints, bins] for n, bins in (("x", 576), ("y", 768))}
    save_graph(path, nodes, constants, {"input": [batch, 3, 384, 288]}, outputs)


def save_rtmw(path: Path) -> None:
    """In the form of `rtmw-l-384.onnx`: any number of RGB images, outputs of 0–10."""
    save_pose(path, batch="batch", blue_channel=2, top_score=10.0)


def save_colours_pose(path: Path, *, seed: int = 0) -> None:
    """In the form of `rtmw-l-384.onnx`, each keypoint at the place that is most of a random colour of its own."""
    colours = np.random.default_rng(seed).normal(size=(133, 3, 1, 1)).astype(np.float32)
    nodes = [helper.make_node("Conv", ["input", "colours"], ["maps"])]
    for name, axis in (("x", 2), ("y", 3)):
        nodes += [
            helper.make_node("ReduceMax", ["maps"], [f"max_{name}"], axes=[axis], keepdims=0),
            helper.make_node("Resize", [f"max_{name}", "", "twice"], [f"simcc_{name}"], mode="nearest"),
        ]
    constants = {"colours": colours, "twice": np.array([1, 1, 2], np.float32)}
    outputs: dict[str, list[Dim]] = {"simcc_x": ["batch", 133, 576], "simcc_y": ["batch", 133, 768]}
    save_graph(path, nodes, constants, {"input": ["batch", 3, 384, 288]}, outputs)


def smooth_picture(*, height: int = 256, width: int = 320, seed: int = 0) -> NDArray[np.uint8]:
    """RGB picture (H, W, 3) of random soft spots, by integer arithmetic: the same on every machine."""
    spots = np.random.default_rng(seed).integers(0, 256, (height // 16, width // 16, 3))
    picture = spots.repeat(16, axis=0).repeat(16, axis=1)
    for axis in (0, 1):
        padded = np.concatenate([picture.take([0] * 8, axis), picture, picture.take([-1] * 8, axis)], axis)
        sums = padded.cumsum(axis)
        length = picture.shape[axis]
        picture = (sums.take(range(16, 16 + length), axis) - sums.take(range(length), axis)) // 16
    return picture.astype(np.uint8)
