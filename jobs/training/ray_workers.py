"""Training on Ray Train workers."""

from __future__ import annotations

import re
import tempfile
import threading
from typing import Any

import ray
import ray.train
import ray.train.torch
from ray.util.queue import Empty, Queue

from jobs.training.config import TrainConfig, TrainWorkersConfig
from jobs.training.events import Event, Report
from jobs.training.worker import RunSpec, train_worker
from models.training.parallel import World
from pipelines.engine.resources import Demand
from pipelines.training.batches import ray_batches

_POLL_SECONDS = 0.5
_EXCEPTION = re.compile(r"(?!ray\.|Ray|UserCodeException|ActorDiedError)[\w.]*(Error|Exception): ")
"""Line of a traceback that names an exception other than Ray's wrappers."""


class TrainingFailedError(RuntimeError):
    """Workers failed more than `max_failures` times. Checkpoints are kept, and the same command resumes from the
    last.
    """


def train_on_ray(spec: RunSpec, workers: TrainWorkersConfig, report: Report) -> None:
    """Run `train_worker` on `workers.num` workers of the connected cluster.

    If a worker dies, all are restarted from the last checkpoint. Workers write checkpoints themselves: Ray Train polls
    reported checkpoints, and would lose one reported shortly before a crash.

    Raises:
        TrainingFailedError: workers failed more often than `workers.max_failures`.
    """
    queue = Queue(actor_options={"num_cpus": 0})
    with tempfile.TemporaryDirectory() as scratch, _Listener(queue, report):
        trainer = ray.train.torch.TorchTrainer(
            _train_loop,
            train_loop_config={"spec": spec, "workers": workers, "queue": queue},
            scaling_config=ray.train.ScalingConfig(
                num_workers=workers.num,
                use_gpu=workers.gpus > 0,
                resources_per_worker={"CPU": workers.cpus, **({"GPU": workers.gpus} if workers.gpus else {})},
            ),
            # Ray Train's own state, not needed after the run.
            run_config=ray.train.RunConfig(
                storage_path=scratch, failure_config=ray.train.FailureConfig(max_failures=workers.max_failures)
            ),
        )
        try:
            trainer.fit()
        except ray.train.v2.api.exceptions.TrainingFailedError as error:
            raise TrainingFailedError(f"the workers failed: {cause_of(error)}") from error
    queue.shutdown()


def demands(config: TrainConfig) -> list[Demand]:
    """Training workers, and the sample workers of each, without which a step waits for ever."""
    workers, data = config.workers, config.data
    return [
        Demand(
            workers="the training workers",
            setting="workers",
            cpus=workers.cpus,
            gpus=workers.gpus,
            count=workers.num,
        ),
        Demand(workers="their sample workers", setting="data", cpus=data.cpus, count=workers.num),
    ]


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
    """Thread that forwards events of the workers until the queue is drained."""

    def __init__(self, queue: Queue, report: Report) -> None:
        self._queue, self._report = queue, report
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="training-events", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _listen(self) -> None:
        while True:
            stopping = self._stopping.is_set()
            try:
                event: Event = self._queue.get(timeout=_POLL_SECONDS)
            except Empty:
                if stopping:
                    return
            except ray.exceptions.RayError:  # the cluster is gone; `fit` raises the cause
                return
            else:
                self._report(event)


def cause_of(error: Exception) -> str:
    """The exception that ended the first failed worker, on one line, without Ray's traceback and advice."""
    failures = getattr(error, "worker_failures", None) or {}
    lines = str(next(iter(failures.values()), error)).strip().splitlines()
    raised = [line.strip() for line in lines if _EXCEPTION.match(line.strip())]
    cause = raised[-1] if raised else lines[-1].strip()
    if cause.startswith("FileNotFoundError"):
        cause += (
            "; workers expect datasets, weights and --out at the same path on every node, or at a URL such as s3://"
        )
    return cause
