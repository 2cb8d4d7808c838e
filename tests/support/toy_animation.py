"""Animation systems for tests of the pipeline: their output follows from the input by simple arithmetic, without torch.

`tests/support/toy_system.py` has a whole system with a network.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from models.animation.animator import Animation, AnimationInputs, OnStep
from models.animation.signals import (
    AGNOSTIC_MASK,
    CONTROLS,
    FACE_CONTROL,
    OBJECT_FRAMES,
    OBJECT_MASK,
    REFERENCE_MASK,
    SCENE_FRAMES,
    SCENE_SIGNALS,
    Signal,
)
from models.animation.system import LoadOptions
from models.weights.entry import Weights
from models.weights.resolve import MissingWeightsError
from pipelines.model_specs import model_spec

DEFAULT_STEPS = 3
NEEDS = frozenset({"driving_frames", "driving_keypoints", "pose_keypoints", "reference_keypoints", "reference_pose"})
SCENE_NEEDS = frozenset({*SCENE_SIGNALS, REFERENCE_MASK})


@dataclass(frozen=True)
class ToyAnimator:
    """The reference with the skeleton laid over it and a little noise of the seed; darker the more guidance."""

    name: str
    seconds_per_step: float = 0.0

    def animate(self, inputs: AnimationInputs, *, on_step: OnStep | None = None) -> Animation:
        steps = inputs.num_steps or DEFAULT_STEPS
        for step in range(steps):
            time.sleep(self.seconds_per_step)
            if on_step is not None:
                on_step(step + 1, steps)
        noise = np.random.default_rng(inputs.seed).integers(0, 8 * steps, inputs.pose_THWC.shape)
        scale = 1.0 / (1.0 + (inputs.guidance_scale or 0.0))
        frames = np.maximum(inputs.reference_HWC * scale + noise, inputs.pose_THWC)
        return Animation(
            frames_THWC=frames.clip(0, 255).astype(np.uint8), fallbacks=("window_batch=1",), window_borders=(2,)
        )


@dataclass(frozen=True)
class SceneAnimator:
    """The driving video, a little brighter, with the character's area in the mean colour of the reference's character,
    the objects, and the skeleton."""

    name: str

    def animate(self, inputs: AnimationInputs, *, on_step: OnStep | None = None) -> Animation:
        signals = inputs.signals
        colour = inputs.reference_HWC[signals[REFERENCE_MASK]].mean(axis=0).astype(np.uint8)
        frames = np.minimum(signals[SCENE_FRAMES], 245) + np.uint8(10)
        frames = np.where(signals[AGNOSTIC_MASK][..., None], colour, frames)
        frames = np.where(signals[OBJECT_MASK][..., None], signals[OBJECT_FRAMES], frames)
        return Animation(frames_THWC=np.maximum(frames, inputs.pose_THWC // 2))


@dataclass(frozen=True)
class FaceAnimator:
    """The reference with the driving face and the skeleton laid over it, those of the two that control."""

    name: str

    def animate(self, inputs: AnimationInputs, *, on_step: OnStep | None = None) -> Animation:
        body, face = inputs.signals[CONTROLS].tolist()
        faces = inputs.signals[FACE_CONTROL][..., 3:]
        frames = np.where(faces.any(axis=-1, keepdims=True) & face, faces, inputs.reference_HWC)
        return Animation(frames_THWC=np.maximum(frames, inputs.pose_THWC * np.uint8(body)))


@dataclass(frozen=True)
class ToyConfig:
    pose_preset: str = "embedded"
    face_form: str = "patches"


@dataclass(frozen=True)
class ToyVariant:
    config: ToyConfig = field(default_factory=ToyConfig)
    needs: frozenset[str] = NEEDS
    short_side_px: int = 64
    notice: str | None = None
    ships: bool = False

    @property
    def keeps_scene(self) -> bool:
        return bool(self.needs & SCENE_SIGNALS)


@dataclass(frozen=True)
class ToyModel:
    """As `models.animation.system.Model`. `animator`: for its name; `log`: notes each time that it is loaded."""

    name: str = "toy"
    variant: ToyVariant = field(default_factory=ToyVariant)
    animator: Callable[[str], Any] = ToyAnimator
    log: Path | None = None
    weights_file: str | None = None
    own_signals: Mapping[str, Signal] = field(default_factory=dict)

    @property
    def system(self) -> ToySystem:
        return ToySystem((self,))

    @property
    def weights(self) -> tuple[Weights, ...]:
        return ()

    def digest(self, folder: str | None) -> str:
        if self.weights_file is None:
            return f"sha256:{hashlib.sha256(self.name.encode()).hexdigest()}"
        path = Path(folder or "weights") / self.weights_file
        if not path.is_file():
            raise MissingWeightsError(f"{path} is not there; --weights names the folder that holds it")
        return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"

    def missing(self, folder: Path | None) -> list[str]:
        return []

    def load(self, options: LoadOptions) -> Any:
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(f"{self.name} {options.device} {options.dtype}\n")
        return self.animator(self.name)


@dataclass(frozen=True)
class ToySystem:
    """As `models.animation.system.System`."""

    models: tuple[ToyModel, ...]
    weights: tuple[Any, ...] = ()

    @property
    def variants(self) -> dict[str, ToyVariant]:
        return {model.name: model.variant for model in self.models}

    @property
    def signals(self) -> dict[str, Signal]:
        return {name: signal for model in self.models for name, signal in model.own_signals.items()}

    def model(self, name: str) -> ToyModel:
        return next(model for model in self.models if model.name == name)


def spec_of(model: ToyModel | None = None, weights: str | None = None) -> dict[str, Any]:
    """The column `model_spec` of a request for this model."""
    return model_spec(model or ToyModel(), weights).columns()  # type: ignore[arg-type]


def toy_model(
    name: str = "toy", *, log: Path | None = None, seconds_per_step: float = 0.0, notice: str | None = None
) -> ToyModel:
    """A model that notes each time it is loaded."""
    return ToyModel(
        name=name, log=log, variant=ToyVariant(notice=notice), animator=lambda name: ToyAnimator(name, seconds_per_step)
    )


def scene_model(name: str = "scene") -> ToyModel:
    """A model that sets the character into the driving video."""
    return ToyModel(name=name, variant=ToyVariant(needs=SCENE_NEEDS), animator=SceneAnimator)


def face_model(name: str = "face", *, form: str = "patches") -> ToyModel:
    """A model that reads the driving face."""
    needs = frozenset({FACE_CONTROL, CONTROLS})
    return ToyModel(name=name, variant=ToyVariant(needs=needs, config=ToyConfig(face_form=form)), animator=FaceAnimator)


def published_model() -> ToyModel:
    """A model whose weights somebody has to have."""
    return ToyModel(
        name="published", weights_file="toy.safetensors", variant=ToyVariant(config=ToyConfig(pose_preset="moore"))
    )


def failing_model(error: Callable[[], Exception], name: str = "failing") -> ToyModel:
    """A model that loads, and raises when it is run."""

    class Failing(ToyAnimator):
        def animate(self, inputs: AnimationInputs, *, on_step: OnStep | None = None) -> Animation:
            raise error()

    return ToyModel(name=name, animator=Failing)
