"""Batches of training samples, computed ahead of the training steps by a thread or by Ray Data."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from models.animation.signals import Signal
from models.face.control import FaceForm
from models.training.batch import SampleBatch
from models.training.recipe import SamplingConfig, TrainingRecipe
from pipelines.training.corpus import Corpus
from pipelines.training.data_config import TrainingDataConfig
from pipelines.training.samples import SampleMaker, UnusableClipError
from pipelines.training.stored_features import StoredFeatures

_BLOCK_BYTES = 16 << 20
"""Target size of a block of samples. Small samples share a block, because Ray's overhead is about 10 ms per block;
large ones have blocks of their own, computed in parallel."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleSource:
    """Everything that determines the samples of a run. See `SampleMaker`."""

    corpus: Corpus
    sampling: SamplingConfig
    config: TrainingDataConfig
    preset: str
    seed: int
    stored: StoredFeatures | None = None
    signals: Mapping[str, Signal] = field(default_factory=dict)
    face_form: FaceForm | None = None

    def maker(self) -> SampleMaker:
        """A sample maker in this process."""
        return SampleMaker(
            self.corpus,
            self.sampling,
            self.config,
            preset=self.preset,
            seed=self.seed,
            stored=self.stored,
            signals=self.signals,
            face_form=self.face_form,
        )

    def with_pictures(self) -> SampleSource:
        """The same samples with pictures, for visualisation."""
        return replace(self, stored=None)


def micro_batch_indices(recipe: TrainingRecipe, *, rank: int, world_size: int, first_step: int) -> Iterator[range]:
    """Sample numbers of each micro-batch of a worker, from step `first_step` (0-based) to the last."""
    micro = recipe.micro_batch(world_size)
    for step in range(first_step, recipe.steps):
        for part in range(recipe.accumulation):
            first = step * recipe.batch_size + (rank * recipe.accumulation + part) * micro
            yield range(first, first + micro)


def local_batches(source: SampleSource, numbers: Iterator[Sequence[int]]) -> Iterator[SampleBatch]:
    """One batch per item of `numbers`, prefetched by a thread of this process.

    Raises:
        UnusableClipError: a clip cannot be used; the message names it.
    """
    maker = source.maker()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="samples") as thread:
        try:
            pending: deque[Future[SampleBatch]] = deque(
                thread.submit(maker.batch, part) for part in islice(numbers, source.config.prefetch_batches)
            )
            while pending:
                batch = pending.popleft().result()
                pending.extend(thread.submit(maker.batch, part) for part in islice(numbers, 1))
                yield batch
        finally:
            thread.shutdown(cancel_futures=True)
            maker.close()


def ray_batches(source: SampleSource, numbers: Iterator[Sequence[int]]) -> Iterator[SampleBatch]:
    """As `local_batches`, computed by Ray Data on the connected cluster."""
    for first in numbers:
        size = len(first)
        rest = max(source.config.samples_per_round // size - 1, 0)
        yield from _round(source, [first, *islice(numbers, rest)], size)


def _round(source: SampleSource, parts: list[Sequence[int]], size: int) -> Iterator[SampleBatch]:
    import ray.data  # late: training without Ray's workers does without the two seconds

    config = source.config
    samples = np.concatenate([np.asarray(part) for part in parts])
    rows = max(1, min(_BLOCK_BYTES // _sample_bytes(source), size))
    dataset = ray.data.from_blocks([pa.table({"number": samples[i : i + rows]}) for i in range(0, len(samples), rows)])
    dataset = dataset.map_batches(
        _Samples,
        fn_constructor_args=(source,),
        batch_size=None,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=min(config.workers, -(-len(samples) // rows))),
        num_cpus=config.cpus,
    )
    # A sample that cannot be computed ends the run.
    dataset.context.max_errored_blocks = 0
    dataset.context.execution_options.preserve_order = True
    batches = dataset.iter_batches(batch_size=size, batch_format="numpy", prefetch_batches=config.prefetch_batches)
    first = 0
    for columns in _named(batches):
        batch = SampleBatch.from_columns(columns)
        expected = samples[first : first + size]
        if not np.array_equal(batch.samples_B, expected):
            raise RuntimeError(
                f"Ray Data returned the samples {batch.samples_B.tolist()}, expected {expected.tolist()}"
            )
        first += size
        yield batch


def _named(batches: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Re-raise a worker's `UnusableClipError` without Ray's traceback."""
    import ray.exceptions

    try:
        yield from batches
    except ray.exceptions.RayTaskError as error:
        prefix = f"{UnusableClipError.__name__}: "
        for line in str(error).splitlines():
            if prefix in line:
                raise UnusableClipError(line.partition(prefix)[2]) from error
        raise


class _Samples:
    """A Ray Data worker that computes samples."""

    def __init__(self, source: SampleSource) -> None:
        self.maker = source.maker()

    def __call__(self, block: dict[str, Any]) -> dict[str, Any]:
        return self.maker.batch(block["number"].tolist()).columns()


def _sample_bytes(source: SampleSource) -> int:
    sampling = source.sampling
    # A scene adds two videos, two masks and a depth; face control two videos.
    frame_bytes = (6 if sampling.scene is None else 15) + (0 if source.face_form is None else 6)
    return (frame_bytes * sampling.num_frames + 3) * sampling.height_px * sampling.width_px
