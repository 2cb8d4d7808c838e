"""Worker of a training run. Without Ray it is the only one and runs in this process."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch

from jobs.engine.config import resolved
from jobs.training.checkpoints import CheckpointStore
from jobs.training.config import TrainConfig
from jobs.training.events import (
    SAMPLES_WITHOUT_FACE,
    Diverged,
    Measured,
    PassedOver,
    Progress,
    Report,
    Sample,
    Saved,
    Started,
)
from jobs.training.heldout import HeldoutClips
from jobs.training.origins import STARTED_FROM
from jobs.training.samples import ClipAnimator, SampleVideos, write_changed_skeletons
from jobs.training.start import new_task
from models.animation.signals import CONTROLS
from models.training.batch import SampleBatch
from models.training.guard import DivergedError
from models.training.parallel import World
from models.training.trainer import StepReport, Trainer, TrainingState
from pipelines.engine.tables import publish_table
from pipelines.training.batches import SampleSource, micro_batch_indices
from stages.io.storage import Storage

CURVES = "curves.parquet"
NUM_CHANGED_SHOWN = 8
_Output = Literal["checkpoint", "videos", "heldout"]
MakeBatches = Callable[[SampleSource, Iterator[Sequence[int]]], Iterator[SampleBatch]]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSpec:
    """Description of a run, sent to its workers.

    Args:
        out: URL of the run's storage.
        start_from: initial weights, unless `out` has a checkpoint.
        facts: stored with every checkpoint and compared when the run is resumed.
        started_from: names of the published weights in `start_from`.
        earlier_runs: records of the runs that trained the weights of `start_from`, oldest first (`run_record`).
    """

    config: TrainConfig
    source: SampleSource
    out: str
    start_from: str | None
    facts: Mapping[str, Any]
    started_from: Sequence[str] = ()
    earlier_runs: Sequence[Mapping[str, Any]] = ()


def train_worker(spec: RunSpec, world: World, make_batches: MakeBatches, report: Report) -> None:
    """Train to the last step, from the last checkpoint if there is one.

    All workers compute the same steps and losses; only the first writes files and reports events.

    Raises:
        CheckpointError: checkpoints exist, and all are damaged.
        UnusableClipError: a clip can no longer be read.
        OSError: a checkpoint cannot be written.
    """
    config, recipe = spec.config, spec.config.recipe
    if config.workers.threads is not None:
        torch.set_num_threads(config.workers.threads)
    store = CheckpointStore(Storage(spec.out))
    restored = store.load_last()
    task, encoders = new_task(config, start_from=spec.start_from if restored is None else None, device=world.device)
    trainer: Trainer[SampleBatch] = Trainer(task, recipe, world)
    first = world.rank == 0
    seconds_before = 0.0
    if restored is not None:
        trainer.load(restored.state)
        seconds_before = float(restored.record.facts["seconds"])
        if first and restored.damage:
            report(PassedOver(step=trainer.step, damage=restored.damage))
    recorder = _Recorder(spec, store, report, seconds=seconds_before, device=world.device) if first else None
    if recorder is not None:
        num_all = sum(parameter.numel() for parameter in task.network.parameters())
        report(Started(step=trainer.step, num_trainable=trainer.num_trainable, num_all=num_all))
        if config.sample_videos.every_steps or config.heldout.every_steps:
            recorder.animator = ClipAnimator(config.model, encoders, device=world.device)
        if config.heldout.every_steps:
            recorder.heldout = _heldout_clips(spec)
        if config.sample_videos.every_steps:
            recorder.videos = SampleVideos(_clips_to_show(spec))
            if recipe.sampling.explicit_indicator is not None:
                report(Sample(step=trainer.step, name=_show_changed_skeletons(spec, store.storage)))
    numbers = micro_batch_indices(recipe, rank=world.rank, world_size=world.size, first_step=trainer.step)
    batches = make_batches(spec.source, numbers)
    try:
        _take_steps(spec, trainer, batches, recorder, report)
    except KeyboardInterrupt:
        if recorder is not None:
            recorder.report_progress()
        raise


def _take_steps(
    spec: RunSpec,
    trainer: Trainer[SampleBatch],
    batches: Iterator[SampleBatch],
    recorder: _Recorder | None,
    report: Report,
) -> None:
    config, recipe = spec.config, spec.config.recipe
    while trainer.step < recipe.steps:
        began = time.perf_counter()
        micro_batches = [next(batches) for _ in range(recipe.accumulation)]
        waited = time.perf_counter() - began
        try:
            step_report = trainer.train_step(micro_batches)
        except DivergedError as error:
            # Raised in all workers.
            report(Diverged(message=str(error)))
            return
        if recorder is not None:
            seconds = time.perf_counter() - began
            recorder.step(step_report, micro_batches, seconds=seconds, waited=waited)
        if due := _due(config, step_report.step):
            state = trainer.state()
            if recorder is not None:
                recorder.state(state, due)


def _due(config: TrainConfig, step: int) -> set[_Output]:
    """Outputs that are due after this step."""
    intervals: dict[_Output, int] = {
        "checkpoint": config.checkpoints.every_steps,
        "videos": config.sample_videos.every_steps,
        "heldout": config.heldout.every_steps,
    }
    last = step == config.recipe.steps
    return {output for output, every in intervals.items() if every and (last or step % every == 0)}


def _clips_to_show(spec: RunSpec) -> list[SampleBatch]:
    settings, num_clips = spec.config.sample_videos, len(spec.source.corpus.clips)
    count = min(settings.num_videos, num_clips)
    maker = spec.source.with_pictures().maker()
    try:
        return [maker.beginning(index * num_clips // count, num_frames=settings.num_frames) for index in range(count)]
    finally:
        maker.close()


def _heldout_clips(spec: RunSpec) -> HeldoutClips:
    corpus = spec.source.corpus.heldout
    assert corpus is not None
    maker = replace(spec.source.with_pictures(), corpus=corpus).maker()
    try:
        num_frames = spec.config.heldout.num_frames
        clips = [maker.beginning(index, num_frames=num_frames) for index in range(len(corpus.clips))]
    finally:
        maker.close()
    return HeldoutClips(corpus.clips["clip_id"].to_pylist(), clips)


def _show_changed_skeletons(spec: RunSpec, storage: Storage) -> str:
    maker = spec.source.with_pictures().maker()
    try:
        return write_changed_skeletons(maker.batch(range(NUM_CHANGED_SHOWN)), storage, preset=spec.source.preset)
    finally:
        maker.close()


class _Recorder:
    """Writes checkpoints, sample videos and measures and reports events, in the first worker."""

    def __init__(
        self, spec: RunSpec, store: CheckpointStore, report: Report, *, seconds: float, device: torch.device
    ) -> None:
        self._spec, self._store, self._report, self._device = spec, store, report, device
        self._seconds = seconds
        self._recent: list[tuple[StepReport, float, float]] = []
        self._samples_without_face = 0
        self.animator: ClipAnimator | None = None
        self.videos: SampleVideos | None = None
        self.heldout: HeldoutClips | None = None

    def step(self, report: StepReport, micro_batches: Sequence[SampleBatch], *, seconds: float, waited: float) -> None:
        config = self._spec.config
        self._seconds += seconds
        if config.recipe.sampling.face_control:
            self._samples_without_face += sum(_without_face(batch) for batch in micro_batches)
        self._recent.append((report, seconds, waited))
        if len(self._recent) >= config.log_every_steps or report.step == config.recipe.steps:
            self.report_progress()

    def report_progress(self) -> None:
        """Report the steps since the last report, if there are any."""
        if not self._recent:
            return
        last, batch_size = self._recent[-1][0], self._spec.config.recipe.batch_size
        total = sum(took for _, took, _ in self._recent)
        self._report(
            Progress(
                step=last.step,
                metrics={
                    "loss": float(np.mean([r.loss for r, *_ in self._recent])),
                    "grad_norm": float(np.mean([r.grad_norm for r, *_ in self._recent])),
                    "learning_rate": last.learning_rate,
                    "samples_per_second": batch_size * len(self._recent) / total,
                    "data_wait_share": sum(wait for *_, wait in self._recent) / total,
                    **({SAMPLES_WITHOUT_FACE: self._samples_without_face} if self._samples_without_face else {}),
                },
            )
        )
        self._recent.clear()

    def state(self, state: TrainingState, due: set[_Output]) -> None:
        spec, storage = self._spec, self._store.storage
        if "checkpoint" in due:
            runs = [*spec.earlier_runs, run_record(spec, steps=state.step, seconds=self._seconds, device=self._device)]
            record = self._store.save(
                state,
                facts={**spec.facts, "seconds": self._seconds},
                metadata={**spec.facts, "runs": runs},
                keep=spec.config.checkpoints.keep,
            )
            publish_table(storage, CURVES, _curves(state))
            self._report(Saved(step=state.step, weights=record.weights))
        if self.animator is None or due == {"checkpoint"}:
            return
        self.animator.load(state.weights)
        if "videos" in due and self.videos is not None:
            for name in self.videos.write(self.animator, storage, step=state.step):
                self._report(Sample(step=state.step, name=name))
        if "heldout" in due and self.heldout is not None:
            means = self.heldout.measure(self.animator, storage, step=state.step)
            self._report(Measured(step=state.step, metrics=means))


def _without_face(batch: SampleBatch) -> int:
    """Number of samples, drawn with face control, that only the body controls."""
    controls_B2 = batch.signals.get(CONTROLS)
    return 0 if controls_B2 is None else int((~controls_B2.all(axis=1)).sum())


def run_record(spec: RunSpec, *, steps: int, seconds: float, device: torch.device) -> dict[str, Any]:
    """Run record stored in checkpoint metadata, with what a model card needs and what reproduces the run."""
    model, recipe, workers = spec.config.model, spec.config.recipe, max(spec.config.workers.num, 1)
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()}, no GPU"
    return {
        "model": {
            "name": model.name,
            "network": resolved(model.model.variant.config),
            "partial_start": model.partial_start,
        },
        "encoders": {"folder": model.absolute_encoders, "digests": sorted(model.encoder_digests())},
        STARTED_FROM: list(spec.started_from),
        "stage": recipe.stage,
        "steps": steps,
        "minutes": round(seconds / 60, 1),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{kind}, {workers} worker{'s' if workers > 1 else ''}, torch {torch.__version__}",
        "clips": len(spec.source.corpus.clips),
        "heldout_clips": 0 if spec.source.corpus.heldout is None else len(spec.source.corpus.heldout.clips),
        "dataset_digest": spec.source.corpus.digest,
        "true_keypoints": spec.config.data.truth is not None,
        "scenery_clips": 0 if spec.source.corpus.scenery is None else len(spec.source.corpus.scenery),
        "faces_of_twins": spec.source.corpus.twins is not None,
        "recipe": resolved(recipe),
    }


def _curves(state: TrainingState) -> pa.Table:
    """Table of loss, gradient norm before clipping, and learning rate of every step."""
    loss, grad_norm, learning_rate = state.history.T.numpy()
    return pa.table(
        {
            "step": np.arange(1, state.step + 1),
            "loss": loss,
            "grad_norm": grad_norm,
            "learning_rate": learning_rate,
        }
    )
