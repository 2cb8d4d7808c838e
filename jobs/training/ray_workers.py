"""A training run on the workers of Ray Train."""

from __future__ import annotations

import tempfile
import threading
from typing import Any

import ray
import ray.train
import ray.train.torch
from ray.util.queue import Empty, Queue

from jobs.training.config import TrainWorkersConfig
from jobs.training.events import Event, Tell
from jobs.training.worker import RunSpec, train_worker
from models.training.parallel import World
from pipelines.training.batches import ray_batches

_POLL_SECONDS = 0.5


class TrainingFailedError(RuntimeError):
    """Workers failed more often than they are started again. What was saved is there; the same command continues."""


def train_on_ray(spec: RunSpec, workers: TrainWorkersConfig, tell: Tell) -> None:
    """Run `train_worker` on `workers.num` workers of the cluster that this process is connected to.

    A worker that dies takes the others along: all are started again, from the last checkpoint. Checkpoints do not go
    through Ray Train, whose reports are polled: one made shortly before a crash would be lost.

    Raises:
        TrainingFailedError: see there.
    """
    queue = Queue(actor_options={"num_cpus": 0})
    with tempfile.TemporaryDirectory() as scratch, _Listener(queue, tell):
        trainer = ray.train.torch.TorchTrainer(
            _train_loop,
            train_loop_config={"spec": spec, "workers": workers, "queue": queue},
            scaling_config=ray.train.ScalingConfig(
                num_workers=workers.num,
                use_gpu=workers.gpus > 0,
                resources_per_worker={"CPU": workers.cpus, **({"GPU": workers.gpus} if workers.gpus else {})},
            ),
            # Ray Train keeps its own state there, of which nothing is needed afterwards.
            run_config=ray.train.RunConfig(
                storage_path=scratch, failure_config=ray.train.FailureConfig(max_failures=workers.max_failures)
            ),
        )
        try:
            trainer.fit()
        except ray.train.v2.api.exceptions.TrainingFailedError as error:
            raise TrainingFailedError(f"the workers failed: {_cause(error)}") from error
    queue.shutdown()


def _train_loop(config: dict[str, Any]) -> None:
    context = ray.train.get_context()
    queue: Queue = config["queue"]
    train_worker(
        config["spec"],
        World(
            rank=context.get_world_rank(),
            size=context.get_world_size(),
            strategy=config["workers"].strategy,
            device=ray.train.torch.get_device(),
        ),
        ray_batches,
        queue.put,
    )


class _Listener:
    """A thread that passes on what the workers tell, until it has all."""

    def __init__(self, queue: Queue, tell: Tell) -> None:
        self._queue, self._tell = queue, tell
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="training-events", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _listen(self) -> None:
        while True:
            over = self._over.is_set()
            try:
                event: Event = self._queue.get(timeout=_POLL_SECONDS)
            except Empty:
                if over:
                    return
            except ray.exceptions.RayError:  # the cluster is gone, which `fit` says better
                return
            else:
                self._tell(event)


def _cause(error: Exception) -> str:
    """The last line of what the first worker died of."""
    failures = getattr(error, "worker_failures", None) or {}
    first = next(iter(failures.values()), error)
    return str(first).strip().rsplit("\n", 1)[-1]
