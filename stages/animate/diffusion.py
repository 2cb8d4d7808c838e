"""Stage that runs the animation model of each request."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol, get_args

from models.animation.system import Dtype, LoadOptions
from models.common.digest import CheckpointError
from stages.base import Row, Stage
from stages.io.storage import Storage
from stages.outcome import BadRow, Reason

if TYPE_CHECKING:
    from models.animation.animator import Animator

PROGRESS = "_jobs/progress"
"""Folder in a dataset for progress files of running rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AnimateConfig:
    """Inference settings.

    Args:
        device: `auto`: the GPU if the worker has one, else the CPU.
        dtype: `auto`: bfloat16 on a GPU, float32 on a CPU.
        compile: compile the networks; the first row of each size takes longer, the others are faster.
        weights: folder of published weights.
        model_folders: folders in which rows of a table may name trained models, by absolute paths; a model that is
            typed may be anywhere.
        progress_seconds: interval at which a worker publishes its progress.
    """

    # Not in the key: they do not change the result. The digest of the weights is a column of the row.
    device: str = field(default="auto", metadata={"in_key": False})
    dtype: Dtype = "auto"
    compile: bool = field(default=False, metadata={"in_key": False})
    weights: str | None = field(default=None, metadata={"in_key": False})
    model_folders: tuple[str, ...] = field(default=(".",), metadata={"in_key": False})
    progress_seconds: float = field(default=5.0, metadata={"in_key": False})

    def __post_init__(self) -> None:
        if self.dtype not in get_args(Dtype):
            raise ValueError(f"unknown dtype '{self.dtype}', expected one of {', '.join(get_args(Dtype))}")


class LoadableModel(Protocol):
    """Interface of `models.animation.system.Model`."""

    def load(self, options: LoadOptions) -> Animator:
        """Load the model."""
        ...


class AnimateStage(Stage[AnimateConfig]):
    """Animates the reference: `animation_frames`, (T, H, W, 3) uint8 RGB, and `window_borders`, at which seams may
    show.

    A worker holds one model at a time. Jobs sort rows by model, so that each is loaded once.

    Args:
        models: models of the requests, by name.
        progress: storage for progress files of long rows; None: no progress files.
    """

    name = "animate"
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            *("reference_image", "skeleton_frames", "signals", "retarget_fallbacks", "driving_fallbacks"),
            *("request_id", "model", "model_digest", "seed", "num_steps", "guidance_scale", "long_video"),
        }
    )
    writes: ClassVar[frozenset[str]] = frozenset({"animation_frames", "window_borders", "fallbacks", "device"})
    transient: ClassVar[frozenset[str]] = frozenset({"animation_frames"})

    def __init__(
        self, config: AnimateConfig, models: Mapping[str, LoadableModel], progress: Storage | None = None
    ) -> None:
        super().__init__(config)
        self.models = models
        self.progress = progress

    def open(self) -> None:
        """Select the device. Models are loaded on demand, by `load`."""
        import torch

        # For bitwise reproducible results, cuBLAS needs a fixed workspace (read at its start), and cuDNN must not
        # select algorithms by timing them.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
        available = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = available if self.config.device == "auto" else self.config.device
        self._loaded: tuple[str, str] | None = None
        self._animator: Animator | None = None

    def load(self, row: Row) -> bool:
        """Load the model of the row, unless it is loaded. Returns whether it was loaded now."""
        import torch

        model = (row["model"], row["model_digest"])
        if self._loaded == model:
            return False
        # Release the previous model first: both may not fit into memory.
        self.close()
        gc.collect()
        if self.device == "cuda":
            torch.cuda.empty_cache()
        config = self.config
        options = LoadOptions(weights=config.weights, device=self.device, dtype=config.dtype, compile=config.compile)
        try:
            self._animator = self.models[row["model"]].load(options)
        except torch.OutOfMemoryError as error:
            raise BadRow(Reason.OUT_OF_MEMORY, f"{row['model']} does not fit in memory: {error}") from error
        except CheckpointError as error:
            raise BadRow(Reason.MISSING_WEIGHTS, str(error)) from error
        self._loaded = model
        return True

    def process(self, row: Row) -> Row:
        """`animation_frames`, `window_borders`, `fallbacks` and `device`.

        Raises:
            BadRow: OutOfMemory, if even the last memory plan does not fit.
        """
        import torch

        from models.animation.animator import AnimationInputs

        assert self._animator is not None
        inputs = AnimationInputs(
            reference_HWC=row["reference_image"],
            pose_THWC=row["skeleton_frames"],
            seed=row["seed"],
            num_steps=row["num_steps"],
            guidance_scale=row["guidance_scale"],
            signals=row["signals"],
            long_video=row["long_video"] or "windows",
        )
        progress = _StepLog(self.progress, row["request_id"], self.config.progress_seconds)
        try:
            animation = self._animator.animate(inputs, on_step=progress)
        except torch.OutOfMemoryError as error:
            shape = " x ".join(str(side) for side in inputs.pose_THWC.shape[:3])
            raise BadRow(Reason.OUT_OF_MEMORY, f"{shape} (frames, height, width) do not fit: {error}") from error
        finally:
            progress.close()
        if animation.frames_THWC.shape != inputs.pose_THWC.shape:
            raise RuntimeError(
                f"{row['model']} returned frames of shape {animation.frames_THWC.shape}, expected "
                f"{inputs.pose_THWC.shape}"
            )
        return {
            "animation_frames": animation.frames_THWC,
            "window_borders": list(animation.window_borders),
            "fallbacks": [*row["retarget_fallbacks"], *animation.fallbacks, *row["driving_fallbacks"]],
            "device": self.device,
        }

    def close(self) -> None:
        """Release the model."""
        self._loaded = self._animator = None


class _StepLog:
    """Publishes the progress of a row as a small file in the dataset, at most every `every_seconds`."""

    def __init__(self, storage: Storage | None, request_id: str, every_seconds: float) -> None:
        self.storage = storage
        self.request_id = request_id
        self.every_seconds = every_seconds
        self.last = time.monotonic()
        self.published = False

    def __call__(self, step: int, total: int) -> None:
        now = time.monotonic()
        if self.storage is None or now - self.last < self.every_seconds:
            return
        self.last = now
        state = {"request_id": self.request_id, "step": step, "num_steps": total}
        try:
            self.storage.publish(self._name, json.dumps(state).encode())
        except OSError:  # progress is optional; the commit of the row reports errors of the storage
            self.storage = None
        else:
            self.published = True

    def close(self) -> None:
        if self.published and self.storage is not None:
            with contextlib.suppress(OSError):  # the driver deletes leftovers
                self.storage.delete(self._name)

    @property
    def _name(self) -> str:
        return f"{PROGRESS}/{self.request_id}.json"
