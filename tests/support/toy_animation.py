"""Animation systems for tests: what they make can be told from their inputs by eye and by arithmetic."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from stages.animate.models import AnimationModel, LoadOptions, MissingWeightsError

from models.animation.animator import Animation, AnimationInputs, OnStep

DEFAULT_STEPS = 3


@dataclass(frozen=True)
class ToyAnimator:
    """The reference with the skeleton laid over it and a little noise of the seed; darker the more guidance."""

    name: str
    seconds_per_step: float = 0.0
    size_multiple: int = 8
    pose_preset: str = "embedded"

    def animate(self, inputs: AnimationInputs, *, on_step: OnStep | None = None) -> Animation:
        steps = inputs.num_steps or DEFAULT_STEPS
        for step in range(steps):
            time.sleep(self.seconds_per_step)
            if on_step is not None:
                on_step(step + 1, steps)
        noise = np.random.default_rng(inputs.seed).integers(0, 8 * steps, inputs.pose_THWC.shape)
        scale = 1.0 / (1.0 + (inputs.guidance_scale or 0.0))
        frames = np.maximum(inputs.reference_HWC * scale + noise, inputs.pose_THWC)
        return Animation(frames_THWC=frames.clip(0, 255).astype(np.uint8), fallbacks=("window_batch=1",))


def toy_model(
    name: str = "toy", *, log: Path | None = None, seconds_per_step: float = 0.0, notice: str | None = None
) -> AnimationModel:
    """A model that notes each time it is loaded."""

    def load(options: LoadOptions) -> ToyAnimator:
        if log is not None:
            with log.open("a") as file:
                file.write(f"{name} {options.device} {options.dtype}\n")
        return ToyAnimator(name=name, seconds_per_step=seconds_per_step)

    return AnimationModel(
        pose_preset="embedded",
        size_multiple=8,
        short_side_px=64,
        digest=lambda _: f"sha256:{hashlib.sha256(name.encode()).hexdigest()}",
        load=load,
        notice=notice,
    )


def published_model() -> AnimationModel:
    """A model whose weights somebody has to have."""

    def digest(weights: str | None) -> str:
        path = Path(weights or "weights") / "toy.safetensors"
        if not path.is_file():
            raise MissingWeightsError(f"{path} is not there; --weights names the folder that holds it")
        return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"

    def load(_: LoadOptions) -> ToyAnimator:
        return ToyAnimator(name="published")

    return AnimationModel(pose_preset="moore", size_multiple=8, short_side_px=64, digest=digest, load=load)


def failing_model(error: Callable[[], Exception]) -> AnimationModel:
    """A model that loads, and raises when it is run."""

    class Failing(ToyAnimator):
        def animate(self, inputs: AnimationInputs, *, on_step: OnStep | None = None) -> Animation:
            raise error()

    return AnimationModel(
        pose_preset="embedded",
        size_multiple=8,
        short_side_px=64,
        digest=lambda _: "sha256:0",
        load=lambda _: Failing(name="failing"),
    )
