"""The animation systems by name: what a request must know of each before it is loaded, and how it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from models.common.animator import Animator

DEFAULT_MODEL = "animate-anyone"

Dtype = Literal["auto", "float32", "float16", "bfloat16"]


class MissingWeightsError(ValueError):
    """The model's files are not where they were looked for; the message says where that was."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadOptions:
    """How a model is loaded.

    `weights`: folder of published weights; the embedded models ship with the project and need none.
    `dtype`: `auto` is bfloat16 on a GPU and float32 on a CPU.
    """

    weights: str | None = None
    device: str = "cpu"
    dtype: Dtype = "auto"
    compile: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class AnimationModel:
    """One system.

    `pose_preset`: key of `models.pose.condition.PRESETS`.
    `size_multiple`: both sides of its output are multiples of it.
    `short_side_px`: of its output, where a request does not say; the size that it was trained at.
    `digest`: digest of its files, `sha256:…`, given the folder of published weights; called on the driver, so cheap.
        Raises MissingWeightsError. A request whose model has another digest than before is stale.
    `load`: the model itself. Imports what it needs when it is called.
    `notice`: what a person should know before trusting its results.
    """

    pose_preset: str
    size_multiple: int
    short_side_px: int
    digest: Callable[[str | None], str]
    load: Callable[[LoadOptions], Animator]
    notice: str | None = None


Models = Mapping[str, AnimationModel]

MODELS: dict[str, AnimationModel] = {}
"""Model name -> what there is to know of it."""
