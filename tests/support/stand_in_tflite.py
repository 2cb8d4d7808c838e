"""Small TensorFlow Lite graphs in the form of MediaPipe's files: every output is `bias + gain * mean(input)`.

In a frame that is not black, one person stands in the middle, with hands and a face; a black frame shows nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from models.perception.mediapipe import body, detector, face, hands

Output = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Bias and gain, of the output's shape."""


def save_network(path: Path, side_px: int, outputs: Sequence[Output]) -> None:
    """Write a graph with an image (1, S, S, 3) as input."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT()]
    codes = [schema.BuiltinOperator.MEAN, schema.BuiltinOperator.MUL, schema.BuiltinOperator.ADD]
    model.operatorCodes = [_code(code) for code in codes]
    graph.tensors, graph.operators = [], []

    def tensor(shape: Sequence[int], value: NDArray[np.generic] | None = None) -> int:
        made = schema.TensorT()
        made.shape, made.name = list(shape), f"tensor_{len(graph.tensors)}"
        made.type = schema.TensorType.INT32 if value is not None and value.dtype == np.int32 else 0
        if value is not None:
            buffer = schema.BufferT()
            buffer.data = list(value.tobytes())
            model.buffers.append(buffer)
            made.buffer = len(model.buffers) - 1
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    def apply(code: int, options: object, inputs: list[int], output: int) -> int:
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = code, inputs, [output]
        made.builtinOptions = options
        names = {"ReducerOptionsT": "ReducerOptions", "MulOptionsT": "MulOptions", "AddOptionsT": "AddOptions"}
        made.builtinOptionsType = getattr(schema.BuiltinOptions, names[type(options).__name__])
        graph.operators.append(made)
        return output

    image = tensor((1, side_px, side_px, 3))
    axes = tensor((4,), np.arange(4, dtype=np.int32))
    mean = apply(0, schema.ReducerOptionsT(), [image, axes], tensor(()))
    ends = []
    for bias, gain in outputs:
        scaled = apply(1, schema.MulOptionsT(), [mean, tensor(gain.shape, gain)], tensor(gain.shape))
        ends.append(apply(2, schema.AddOptionsT(), [scaled, tensor(bias.shape, bias)], tensor(bias.shape)))
    graph.inputs, graph.outputs = [image], ends
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(builder.Output()))


def _code(code: int) -> schema.OperatorCodeT:
    made = schema.OperatorCodeT()
    made.builtinCode = made.deprecatedBuiltinCode = code
    made.version = 1
    return made


def _constant(bias: NDArray[np.floating]) -> Output:
    return bias.astype(np.float32), np.zeros(bias.shape, np.float32)


def save_people(folder: Path) -> None:
    """Write all networks of the backend `people`; `folder`: of the detector, which the catalogue names first."""
    save_detector(folder.parent / "pose_detection/pose_detection.tflite")
    save_body(folder.parent / "pose_landmark/pose_landmark_full.tflite")
    save_network(
        folder.parent / "holistic_landmark/hand_recrop.tflite",
        hands.RECROP_SIDE_PX,
        [_constant(np.array([128, 128, 128, 192]).reshape(1, 1, 1, 4))],
    )
    save_hand(folder.parent / "hand_landmark/hand_landmark_full.tflite")
    save_face(folder.parent / "face_landmark/face_landmark.tflite")


def save_detector(path: Path) -> None:
    """One person in the middle, unless the frame is black."""
    middle = int(np.linalg.norm(detector.ANCHORS - 0.5, axis=1).argmin())
    boxes = np.zeros((1, len(detector.ANCHORS), 12))
    boxes[0, middle] = 0, -50, 60, 60, 0, 0, 0, -90, 0, -40, 0, -70
    bias = np.full((1, len(detector.ANCHORS), 1), -80, np.float32)
    gain = np.zeros_like(bias)
    # The input is -1 where the frame is black.
    bias[0, middle], gain[0, middle] = 190, 200
    save_network(path, detector.SIDE_PX, [_constant(boxes), (bias, gain)])


LANDMARKS = np.zeros((39, 2))
"""Body landmarks in the crop: a figure with spread arms."""
LANDMARKS[:11] = [
    *((128, 50), (131, 46), (134, 46), (137, 46), (125, 46), (122, 46), (119, 46), (142, 48), (114, 48)),
    *((132, 56), (124, 56)),
]
LANDMARKS[11:23] = [
    *((150, 80), (106, 80), (185, 85), (71, 85), (210, 70), (46, 70)),
    *((218, 62), (38, 62), (220, 66), (36, 66), (214, 64), (42, 64)),
]
LANDMARKS[23:33] = [
    *((142, 140), (114, 140), (144, 180), (112, 180), (146, 222), (110, 222), (144, 228), (112, 228)),
    *((154, 230), (102, 230)),
]
# The circle around the person, whose region is this crop again.
LANDMARKS[33:35] = (128, 128), (128, 128 - 128 / detector.BODY_SCALE)


def save_body(path: Path) -> None:
    """The figure of `LANDMARKS`, unless the crop is black; nearer on its left; the mask is a disc."""
    landmarks = np.zeros((39, 5))
    landmarks[:, :2], landmarks[:, 2], landmarks[:, 3:] = LANDMARKS, 128 - LANDMARKS[:, 0], 8
    row, column = np.mgrid[: body.SIDE_PX, : body.SIDE_PX]
    inside = (row - 128) ** 2 + (column - 128) ** 2 < 100**2
    save_network(
        path,
        body.SIDE_PX,
        [
            _constant(landmarks.reshape(1, 195)),
            (np.zeros((1, 1), np.float32), np.full((1, 1), 50, np.float32)),
            _constant(np.where(inside, 8.0, -8.0)[None, ..., None]),
            _constant(np.full((1, 64, 64, 39), -20.0)),
            _constant(np.zeros((1, 117))),
        ],
    )


def save_hand(path: Path) -> None:
    """A hand with the wrist below and the fingers above."""
    points = np.zeros((hands.NUM_LANDMARKS, 3))
    points[0] = 112, 190, 0
    for finger in range(5):
        for joint in range(4):
            points[1 + 4 * finger + joint] = 60 + 26 * finger, 130 - 25 * joint, 0
    outputs = [points.reshape(1, 63), np.array([[0.9]]), np.array([[0.5]]), np.zeros((1, 63))]
    save_network(path, hands.SIDE_PX, [_constant(output) for output in outputs])


def save_face(path: Path) -> None:
    """A mesh of points on a spiral around the middle."""
    angle = np.arange(face.NUM_LANDMARKS) * 0.3
    radius = np.linspace(5, 60, face.NUM_LANDMARKS)
    points = np.stack([96 + radius * np.cos(angle), 96 + radius * np.sin(angle), 0 * angle], axis=1)
    save_network(path, face.SIDE_PX, [_constant(points.reshape(1, 1, 1, -1)), _constant(np.full((1, 1, 1, 1), 5.0))])
