"""Networks of the measures of `zoetrope evaluate`. They are imported when a network is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stages.backends.base import Backend, Loading


class FeatureNetwork(Protocol):
    """Network whose features a Fréchet distance compares."""

    def features(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features (N, D) of a clip of uint8 RGB frames; N is the number of frames, windows or clips that it yields."""


class PerceptualDistance(Protocol):
    """Network that compares frames.

    `min_size_px`: smallest height and width of frames that it can compare.
    """

    min_size_px: int

    def distances(
        self, animation_THWC: NDArray[np.uint8], truth_THWC: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Distances (T) of every frame from the true one: with inputs as DisCo feeds them, and as the authors do.

        Raises:
            ValueError: the clips differ in shape, or their frames are smaller than `min_size_px`.
        """


class ImageFeatureNetwork(Protocol):
    """Network whose features tell how alike frames are."""

    def features(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features (T, D) of uint8 RGB frames."""


class FaceNetwork(Protocol):
    """Detector of faces, which may also tell whose they are."""

    def faces(self, frames_THWC: NDArray[np.uint8]) -> tuple[NDArray[np.float32] | None, NDArray[np.bool_]]:
        """Embeddings (T, D) of length 1, which are 0 without a face, or None if the network has none; and whether a
        face was detected (T).
        """


def _fid_inception(loading: Loading) -> FeatureNetwork:
    from models.metrics.networks.inception import FidInception

    (path,) = loading.paths
    return FidInception(path, device=loading.device)


def _resnet3d(loading: Loading) -> FeatureNetwork:
    from models.metrics.networks.resnet3d import KineticsResNet

    (path,) = loading.paths
    return KineticsResNet(path, device=loading.device)


def _i3d(loading: Loading) -> FeatureNetwork:
    from models.metrics.networks.i3d import KineticsI3d

    (path,) = loading.paths
    return KineticsI3d(path, device=loading.device)


def _videomae(loading: Loading) -> FeatureNetwork:
    from models.metrics.networks.videomae import VideoMae

    (path,) = loading.paths
    return VideoMae(path, device=loading.device)


def _dynamic_textures(loading: Loading) -> FeatureNetwork:
    from models.metrics.networks.dynamic_textures import DynamicTexturesI3d

    (path,) = loading.paths
    return DynamicTexturesI3d(path, device=loading.device)


def _dino(loading: Loading) -> ImageFeatureNetwork:
    from models.metrics.networks.dino import Dino

    (path,) = loading.paths
    return Dino(path, device=loading.device)


def _clip(loading: Loading) -> ImageFeatureNetwork:
    from models.metrics.networks.clip import Clip

    (folder,) = loading.paths
    return Clip(folder, device=loading.device)


def _faces(loading: Loading) -> FaceNetwork:
    from models.metrics.networks.faces import FaceRecognition

    return FaceRecognition(*loading.paths, device=loading.device)


def _lpips(loading: Loading) -> PerceptualDistance:
    from models.metrics.networks.lpips import Lpips

    vgg, heads = loading.paths
    return Lpips(vgg, heads, device=loading.device)


def _network(*entries: str) -> Mapping[str, tuple[str, ...]]:
    """The one model of a backend: its name is that of its first entry of the catalogue."""
    return MappingProxyType({entries[0]: entries})


FEATURES: Mapping[str, Backend[FeatureNetwork]] = MappingProxyType(
    {
        "fid": Backend(load=_fid_inception, models=_network("fid-inception")),
        "fid_vid": Backend(load=_resnet3d, models=_network("resnet3d-50-kinetics")),
        "fvd": Backend(load=_i3d, models=_network("i3d-kinetics-400")),
        "cd_fvd": Backend(load=_videomae, models=_network("videomae-v2-vit-g-ssv2")),
        "dtfvd": Backend(load=_dynamic_textures, models=_network("i3d-dtdb")),
    }
)
"""Networks of the measures of sets, by the stage that runs them."""

LPIPS: Mapping[str, Backend[PerceptualDistance]] = MappingProxyType(
    {"lpips": Backend(load=_lpips, models=_network("lpips-vgg16", "lpips-heads"))}
)
"""Networks of LPIPS."""

SUBJECT: Mapping[str, Backend[ImageFeatureNetwork]] = MappingProxyType(
    {"subject": Backend(load=_dino, models=_network("dino-vit-b16"))}
)
"""Networks of subject consistency."""

BACKGROUND: Mapping[str, Backend[ImageFeatureNetwork]] = MappingProxyType(
    {"background": Backend(load=_clip, models=_network("clip-vit-b32"))}
)
"""Networks of background consistency."""

FACES: Mapping[str, Backend[FaceNetwork]] = MappingProxyType(
    {
        "adaface": Backend(
            load=_faces,
            models=MappingProxyType(
                {name: ("yunet", name) for name in ("adaface-ir-101", "adaface-ir-18")},
            ),
        ),
        "yunet": Backend(load=_faces, models=_network("yunet")),
    }
)
"""Networks of faces: `adaface` detects and recognises them, `yunet` detects only."""
