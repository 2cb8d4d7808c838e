"""Stages that compute the features of Fréchet distances; one per network, so that each is computed on its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from stages.backends.base import Backend, BackendConfig, BackendStage
from stages.backends.features import FEATURES, FeatureNetwork
from stages.base import Row


def feature_columns(name: str) -> tuple[str, str]:
    """Columns with the features (N, D) float32 of the animation and of its truth."""
    return f"{name}_features", f"{name}_truth_features"


def only(name: str) -> Mapping[str, Backend[Any]]:
    """The registry of a stage that has one network."""
    return MappingProxyType({name: FEATURES[name]})


@dataclass(frozen=True, kw_only=True, slots=True)
class FidConfig(BackendConfig):
    """Weights of FID's Inception."""

    backend: str = "fid"
    signal: ClassVar = "FID"
    backends: ClassVar = only("fid")


@dataclass(frozen=True, kw_only=True, slots=True)
class FidVidConfig(BackendConfig):
    """Weights of the 3D ResNet of FID-VID."""

    backend: str = "fid_vid"
    signal: ClassVar = "FID-VID"
    backends: ClassVar = only("fid_vid")


@dataclass(frozen=True, kw_only=True, slots=True)
class FvdConfig(BackendConfig):
    """Weights of the I3D of FVD."""

    backend: str = "fvd"
    signal: ClassVar = "FVD"
    backends: ClassVar = only("fvd")


@dataclass(frozen=True, kw_only=True, slots=True)
class CdFvdConfig(BackendConfig):
    """Weights of the VideoMAE of cd-FVD."""

    backend: str = "cd_fvd"
    signal: ClassVar = "cd-FVD"
    backends: ClassVar = only("cd_fvd")


ConfigT = TypeVar("ConfigT", bound=BackendConfig)


class FeatureStage(BackendStage[ConfigT, FeatureNetwork]):
    """Features of both clips. Subclasses name the measure, which names the columns (`feature_columns`)."""

    reads: ClassVar[frozenset[str]] = frozenset({"animation_frames", "truth_frames"})

    def process(self, row: Row) -> Row:
        """Features of the row's pair."""
        animation, truth = feature_columns(self.name)
        return {animation: self._features(row["animation_frames"]), truth: self._features(row["truth_frames"])}

    def _features(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        features = self.backend.features(frames_THWC)
        if not np.isfinite(features).all():
            raise RuntimeError(f"the network of {self.name} returned features that are not finite")
        return features


class FidStage(FeatureStage[FidConfig]):
    """Features of every frame for FID."""

    name = "fid"
    writes = frozenset(feature_columns(name))


class FidVidStage(FeatureStage[FidVidConfig]):
    """Features of every video for FID-VID."""

    name = "fid_vid"
    writes = frozenset(feature_columns(name))


class FvdStage(FeatureStage[FvdConfig]):
    """Features of every window for FVD."""

    name = "fvd"
    writes = frozenset(feature_columns(name))


class CdFvdStage(FeatureStage[CdFvdConfig]):
    """Features of every clip for cd-FVD."""

    name = "cd_fvd"
    writes = frozenset(feature_columns(name))
