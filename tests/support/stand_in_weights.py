"""A folder of weights as a person would fill it, of small networks in the published forms."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
import stand_in_metric_weights
from stand_in_networks import (
    PyramidPose,
    RedDepth,
    save_depth_anything,
    save_sam2,
    save_sam3,
    save_sapiens2,
    save_torchscript,
)
from stand_in_onnx import save_detector, save_pose, save_rtmw
from stand_in_tflite import save_people

from models.animation.system import Model
from models.catalogue import CATALOGUE
from models.weights.resolve import locate, place

MAKERS: Mapping[str, Callable[[Path], None]] = {
    "people": save_people,
    "dwpose-detector": save_detector,
    "dwpose-pose": save_pose,
    "rtmw-l-384": save_rtmw,
    "sapiens-pose-17": lambda path: save_torchscript(PyramidPose(17), path),
    "sapiens-pose-133": lambda path: save_torchscript(PyramidPose(133), path),
    "sapiens-pose-308": lambda path: save_torchscript(PyramidPose(308), path),
    "sapiens-depth": lambda path: save_torchscript(RedDepth(), path),
    "sapiens2-pose": save_sapiens2,
    "depth-anything-v2": save_depth_anything,
    "sam2.1-hiera": save_sam2,
    "sam3": save_sam3,
    **stand_in_metric_weights.MAKERS,
}
"""Prefix of an entry's name -> function that writes its file, or its folder if it has several files."""


def fill(
    folder: Path, names: Iterable[str], *, makers: Mapping[str, Callable[[Path], None]] = MappingProxyType(MAKERS)
) -> None:
    """Write stand-ins of these entries of the catalogue."""
    for name in names:
        weights = CATALOGUE[name]
        path = place(weights, weights.files[0], folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        make = next(make for beginning, make in makers.items() if name.startswith(beginning))
        make(path if len(weights.files) == 1 else path.parent)


def forget_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take stand-ins for the published files, whose digests they cannot have."""
    unpinned = {
        name: dataclasses.replace(
            weights, files=tuple(dataclasses.replace(file, sha256=None) for file in weights.files)
        )
        for name, weights in CATALOGUE.items()
    }
    monkeypatch.setattr("models.catalogue.CATALOGUE", MappingProxyType(unpinned))


def missing_weights(model: Model, folder: Path | None) -> list[str]:
    """Names of the entries of a model with a missing file."""
    return [weights.name for weights in model.weights if not all(locate(weights, folder).values())]
