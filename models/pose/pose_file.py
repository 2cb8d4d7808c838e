"""Pose files of Animate-X's public code (`process_data.py`): pickled DWPose detections of every frame.

A file is a dictionary: `bodies` (T, 18, 2), `faces` (T, 68, 2), `hands` (T, 2, 21, 2), left then right, all in OpenPose
order and relative to the frame's width and height, (-1, -1) for undetected points; `body_indices` (T, 18), -1 for
undetected points; `size` (height, width, 3) of the frames; `fps`. The format has no scores and no feet.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.common.atomic import atomic_path
from models.pose import openpose
from models.pose.extent import CONFIDENT_SCORE
from models.pose.openpose import NUM_OPENPOSE, from_openpose, to_openpose

_MISSING = -1.0
_PARTS = {"bodies": (18, 2), "faces": (68, 2), "hands": (2, 21, 2)}


class PoseFileError(ValueError):
    """A pose file of unexpected content; the message names the file and the problem."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FilePoses:
    """Keypoints of a video read from a pose file.

    `keypoints`: (T, 133, 3) float32 in pixels of the frames; the score is 1 for a detected point, else 0.
    """

    keypoints: NDArray[np.float32]
    height_px: int
    width_px: int


def read_pose_file(path: Path, *, shown: str) -> FilePoses:
    """Read the keypoints of a pose file.

    Unpickling is restricted to numbers, text, containers and numpy arrays, so that the file cannot execute code.

    `shown`: name of the file in error messages.

    Raises:
        PoseFileError: the file has another content.
    """
    content = _unpickled(path, shown)
    if not isinstance(content, dict) or (missing := [name for name in (*_PARTS, "size") if name not in content]):
        got = f"a dictionary without {', '.join(missing)}" if isinstance(content, dict) else type(content).__name__
        raise PoseFileError(f"{shown} holds {got}, expected a dictionary of bodies, faces, hands and size")
    height, width = _size(content["size"], shown)
    parts = {name: _part(content[name], name, shape, shown) for name, shape in _PARTS.items()}
    counts = {name: len(part) for name, part in parts.items()}
    if len(set(counts.values())) != 1 or not counts["bodies"]:
        lengths = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise PoseFileError(f"{shown} holds {lengths}, expected one of each for every frame, and at least one frame")
    points = np.zeros((counts["bodies"], NUM_OPENPOSE, 3))
    places = {"bodies": openpose.BODY, "faces": openpose.FACE, "hands": slice(openpose.LEFT_HAND.start, None)}
    for name, place in places.items():
        points[:, place, :2] = parts[name].reshape(len(points), -1, 2)
        points[:, place, 2] = (points[:, place, :2] != _MISSING).any(axis=-1)
    points[..., :2] *= points[..., 2:] * (width, height)
    return FilePoses(keypoints=from_openpose(points).astype(np.float32), height_px=height, width_px=width)


def write_pose_file(path: Path, poses: FilePoses, *, fps: float) -> None:
    """Write a pose file for `read_pose_file` and Animate-X's public code. Deterministic and atomic."""
    points = to_openpose(poses.keypoints)
    detected = points[..., 2] >= CONFIDENT_SCORE
    relative = np.where(detected[..., None], points[..., :2] / (poses.width_px, poses.height_px), _MISSING)
    hands = np.stack([relative[:, openpose.LEFT_HAND], relative[:, openpose.RIGHT_HAND]], axis=1)
    content = {
        "bodies": relative[:, openpose.BODY],
        "body_indices": np.where(detected[:, openpose.BODY], np.arange(18), -1).astype(np.float64),
        "faces": relative[:, openpose.FACE],
        "hands": hands,
        "size": (poses.height_px, poses.width_px, 3),
        "fps": int(fps),
    }
    with atomic_path(path) as temporary:
        temporary.write_bytes(pickle.dumps(content, protocol=4))


class _Unpickler(pickle.Unpickler):
    """Unpickler restricted to numpy arrays: a pickle can name any function to call."""

    _ALLOWED = frozenset(
        {
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            # numpy 2 renamed these modules; pickles of both versions are in use.
            *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
            *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"it imports {module}.{name}, which no numpy array needs")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _unpickled(path: Path, shown: str) -> Any:
    try:
        return _Unpickler(io.BytesIO(path.read_bytes())).load()
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged pickle can raise almost any exception
        reason = f"{type(error).__name__}: {error}"[:200]
        raise PoseFileError(f"{shown} is no pose file ({reason}); expected a pickle of process_data.py") from error


def _size(value: Any, shown: str) -> tuple[int, int]:
    try:
        height, width = (int(side) for side in tuple(value)[:2])
    except (TypeError, ValueError):
        height = width = 0
    if min(height, width) < 1:
        raise PoseFileError(f"{shown}: size is {str(value)[:60]}, expected (height, width, 3)")
    return height, width


def _part(value: Any, name: str, shape: tuple[int, ...], shown: str) -> NDArray[np.float64]:
    expected = f"(T, {', '.join(str(side) for side in shape)}) finite numbers"
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu" or value.shape[1:] != shape:
        got = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        raise PoseFileError(f"{shown}: {name} is {got}, expected {expected}")
    if not np.isfinite(value).all():
        raise PoseFileError(f"{shown}: {name} holds {value[~np.isfinite(value)][0]}, expected {expected}")
    return value.astype(np.float64)
