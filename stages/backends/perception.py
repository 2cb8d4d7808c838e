"""Backends of the signals of `prepare`. Networks are imported when a backend is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from models.perception.shipped import FIGURE_CHECKPOINT, OBJECT_CHECKPOINT
from stages.backends.base import EMBEDDED, PEOPLE, Backend, Loading
from stages.backends.trained import Included

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.perception.embedded import EmbeddedFigure
    from models.perception.mediapipe.tracking import BodyTracker
    from models.perception.people import ClipPeople
    from models.perception.prompts import ObjectPrompt
    from models.perception.sam2.tracker import VideoTracker

NetworkT = TypeVar("NetworkT")


class PoseBackend(Protocol):
    """Pose estimator."""

    def keypoints(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Keypoints (T, 133, 3): x, y in pixels of the frames, score 0–1."""


@runtime_checkable
class PeopleBackend(PoseBackend, Protocol):
    """Pose estimator that detects persons and so can count them."""

    def people(self, frames_THWC: NDArray[np.uint8]) -> ClipPeople:
        """Keypoints of the main character, and the number of persons."""


class DepthBackend(Protocol):
    """Depth estimator."""

    def depth(self, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Depth (T, H, W), smaller is nearer, with one scale for the whole clip."""


class CharacterMaskBackend(Protocol):
    """Segmentation of the character."""

    def character_mask(self, frames_THWC: NDArray[np.uint8], keypoints: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Mask (T, H, W) bool of the character with these keypoints."""


class ObjectMaskBackend(Protocol):
    """Tracker of prompted objects."""

    def track_all(self, frames_THWC: NDArray[np.uint8], objects: Sequence[Sequence[ObjectPrompt]]) -> NDArray[np.bool_]:
        """Masks (N, T, H, W) bool of N objects, each with one or more prompts."""


def _alone(*names: str) -> Mapping[str, tuple[str, ...]]:
    """Models that consist of one entry of the catalogue."""
    return MappingProxyType({name: (name,) for name in names})


def _embedded_figure(loading: Loading) -> EmbeddedFigure:
    from models.perception.embedded import EmbeddedFigure

    (path,) = loading.paths
    return EmbeddedFigure(path)


def _embedded_objects(loading: Loading) -> ObjectMaskBackend:
    from models.perception.embedded_objects import EmbeddedObjects

    (path,) = loading.paths
    return EmbeddedObjects(path)


def _dwpose(loading: Loading) -> PoseBackend:
    from models.perception.dwpose.pose import DwposePose

    detector, pose = loading.paths
    return DwposePose(detector, pose, device=loading.device)


def _rtmw(loading: Loading) -> PoseBackend:
    from models.perception.dwpose.pose import DwposePose
    from models.perception.dwpose.simcc import RTMW

    path, detector = loading.paths
    return DwposePose(detector, path, form=RTMW, device=loading.device)


# Cached, so that pose, depth and mask in one process share the networks and the bodies that they found in a clip.
@lru_cache(maxsize=1)
def _bodies(folder: Path) -> BodyTracker:
    from models.perception.mediapipe.tracking import BodyTracker

    return BodyTracker(folder)


def _mediapipe_pose(loading: Loading) -> PoseBackend:
    from models.perception.mediapipe.pose import MediapipePose

    (folder,) = loading.paths
    return MediapipePose(folder, bodies=_bodies(folder))


def _mediapipe_depth(loading: Loading) -> DepthBackend:
    from models.perception.mediapipe.depth import MediapipeDepth

    (folder,) = loading.paths
    return MediapipeDepth(_bodies(folder))


def _mediapipe_mask(loading: Loading) -> CharacterMaskBackend:
    from models.perception.mediapipe.mask import MediapipeMask

    (folder,) = loading.paths
    return MediapipeMask(_bodies(folder))


def _sapiens(loading: Loading) -> PoseBackend:
    from models.perception.sapiens.pose import SapiensPose
    from models.perception.sapiens.top_down import TopDownPose

    path, detector = loading.paths
    pose = SapiensPose(path, allow_torchscript=loading.allow_torchscript, device=loading.device)
    return TopDownPose(pose, detector, device=loading.device)


def _sapiens2(loading: Loading) -> PoseBackend:
    from models.perception.sapiens.pose import Sapiens2Pose
    from models.perception.sapiens.top_down import TopDownPose

    path, detector = loading.paths
    return TopDownPose(Sapiens2Pose(path, device=loading.device), detector, device=loading.device)


def _sapiens_depth(loading: Loading) -> DepthBackend:
    from models.perception.sapiens.depth import SapiensDepth

    (path,) = loading.paths
    return SapiensDepth(path, allow_torchscript=loading.allow_torchscript, device=loading.device)


def _depth_anything(loading: Loading) -> DepthBackend:
    from models.perception.depth_anything import DepthAnything

    (path,) = loading.paths
    return DepthAnything(path, device=loading.device)


def _character_by(tracker: Callable[[Path, str], VideoTracker], loading: Loading) -> CharacterMaskBackend:
    from models.perception.sam2.character import TrackedCharacter

    (path,) = loading.paths
    return TrackedCharacter(tracker(path, loading.device))


def _objects_by(tracker: Callable[[Path, str], VideoTracker], loading: Loading) -> ObjectMaskBackend:
    from models.perception.sam2.objects import TrackedObjects

    (path,) = loading.paths
    return TrackedObjects(tracker(path, loading.device))


# Cached, so that character and object masks in one process share a network.
@lru_cache(maxsize=1)
def _sam2(path: Path, device: str) -> VideoTracker:
    from models.perception.sam2.tracker import Sam2Tracker

    return Sam2Tracker(path, device=device)


@lru_cache(maxsize=1)
def _sam3(path: Path, device: str) -> VideoTracker:
    from models.perception.sam2.tracker import Sam3Tracker

    return Sam3Tracker(path, device=device)


@lru_cache(maxsize=1)
def _sam2_official(path: Path, device: str) -> VideoTracker:
    from models.perception.sam2.official import OfficialSam2Tracker

    return OfficialSam2Tracker(path, device=device)


_PEOPLE = "people"
_PERSON_DETECTOR = "dwpose-detector"
"""Person detector of DWPose, also used for RTMW and Sapiens."""
_SAPIENS_POSE = (
    *(f"sapiens-pose-133-{size}" for size in ("1b", "0.3b", "0.6b", "2b")),
    *(f"sapiens-pose-308-{size}" for size in ("1b", "0.3b", "0.6b")),
    *(f"sapiens-pose-17-{size}" for size in ("1b", "0.3b", "0.6b", "2b")),
)
_SAPIENS2_POSE = ("sapiens2-pose-1b", "sapiens2-pose-0.4b", "sapiens2-pose-0.8b")
_SAM2_SIZES = ("large", "base-plus", "small", "tiny")
_SAM2 = _alone(*(f"sam2.1-hiera-{size}" for size in _SAM2_SIZES))
_SAM3 = _alone("sam3")
_SAM2_OFFICIAL = _alone(*(f"sam2.1-hiera-{size}-official" for size in _SAM2_SIZES))


NETWORK_SIZES = frozenset({"widths", "input_px"})
"""Fields in which trained perception networks may differ from the included ones."""


def _embedded(signal: str, path: Path, load: Callable[[Loading], NetworkT]) -> Backend[NetworkT]:
    included = Included(path=path, label=f"embedded-{signal}", trained_by="perception", sizes=NETWORK_SIZES)
    return Backend(load=load, included=included)


def _with_detector(*names: str) -> Mapping[str, tuple[str, ...]]:
    return MappingProxyType({name: (name, _PERSON_DETECTOR) for name in names})


POSE: Mapping[str, Backend[PoseBackend]] = MappingProxyType(
    {
        EMBEDDED: _embedded("pose", FIGURE_CHECKPOINT, _embedded_figure),
        "dwpose": Backend(load=_dwpose, models=MappingProxyType({"dwpose": (_PERSON_DETECTOR, "dwpose-pose")})),
        PEOPLE: Backend(load=_mediapipe_pose, models=_alone(_PEOPLE)),
        "rtmw": Backend(load=_rtmw, models=_with_detector("rtmw-l-384")),
        "sapiens": Backend(load=_sapiens, models=_with_detector(*_SAPIENS_POSE)),
        "sapiens2": Backend(load=_sapiens2, models=_with_detector(*_SAPIENS2_POSE)),
    }
)
DEPTH: Mapping[str, Backend[DepthBackend]] = MappingProxyType(
    {
        EMBEDDED: _embedded("depth", FIGURE_CHECKPOINT, _embedded_figure),
        PEOPLE: Backend(load=_mediapipe_depth, models=_alone(_PEOPLE)),
        "sapiens": Backend(
            load=_sapiens_depth, models=_alone(*(f"sapiens-depth-{size}" for size in ("1b", "0.3b", "0.6b", "2b")))
        ),
        "depth-anything": Backend(
            load=_depth_anything, models=_alone(*(f"depth-anything-v2-{size}" for size in ("small", "base", "large")))
        ),
    }
)
CHARACTER_MASK: Mapping[str, Backend[CharacterMaskBackend]] = MappingProxyType(
    {
        EMBEDDED: _embedded("character-mask", FIGURE_CHECKPOINT, _embedded_figure),
        PEOPLE: Backend(load=_mediapipe_mask, models=_alone(_PEOPLE), version=2),  # edges refined
        "sam2": Backend(load=partial(_character_by, _sam2), models=_SAM2),
        "sam2-official": Backend(load=partial(_character_by, _sam2_official), models=_SAM2_OFFICIAL),
        "sam3": Backend(load=partial(_character_by, _sam3), models=_SAM3),
    }
)
OBJECT_MASKS: Mapping[str, Backend[ObjectMaskBackend]] = MappingProxyType(
    {
        EMBEDDED: _embedded("object-masks", OBJECT_CHECKPOINT, _embedded_objects),
        "sam2": Backend(load=partial(_objects_by, _sam2), models=_SAM2),
        "sam2-official": Backend(load=partial(_objects_by, _sam2_official), models=_SAM2_OFFICIAL),
        "sam3": Backend(load=partial(_objects_by, _sam3), models=_SAM3),
    }
)
