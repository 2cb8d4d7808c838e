"""Samples per second of `zoetrope train`, and the share of its time that it waits for data.

The embedded Animate Anyone in stage 1 (frames, each for itself) on a small prepared corpus of puppets, with random
weights. The peer is the same steps on batches that are in memory before the clock starts: what training costs if data
cost nothing. The losses of both are compared. Twice: with decoded clips kept in memory (the default, where a corpus
fits), and with none kept, so that every sample is decoded anew.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyarrow.parquet as pq
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from small_jobs import options
from small_prepared import write_prepared
from tiny_animate_anyone import write_appearance

from jobs.engine.console import Console
from jobs.recipes.animate_anyone import AnimateAnyoneTrainConfig
from jobs.training import config as recipes
from jobs.training.config import TrainConfig
from jobs.training.start import new_task
from jobs.verbs.train import train
from models.training.parallel import World
from models.training.trainer import Trainer
from pipelines.training.batches import SampleSource, local_batches, micro_batch_indices
from pipelines.training.corpus import open_corpus

KEPT_GIB = {"kept": 1.0, "decoded anew": 0.0}


def ours(prepared: Path, out: Path, config: TrainConfig) -> tuple[dict[str, Any], list[float]]:
    """Summary of the job, whose rates exclude the start-up, and the loss of every step."""
    result = train(str(prepared), str(out), config=config, options=options(out.parent), console=Console(json_only=True))
    assert result.exit_code == 0, result.summary
    losses: list[float] = pq.read_table(out / "curves.parquet")["loss"].to_pylist()
    return result.summary, losses


def in_memory(prepared: Path, config: TrainConfig) -> tuple[float, list[float]]:
    """Samples per second of the second half of the same steps on batches made before, and the loss of every step."""
    recipe = config.recipe
    source = SampleSource(
        corpus=open_corpus(str(prepared), recipe.sampling),
        sampling=recipe.sampling,
        config=config.data,
        preset=config.model.shape.pose_preset,
        seed=recipe.seed,
    )
    batches = list(local_batches(source, micro_batch_indices(recipe, rank=0, world_size=1, first_step=0)))
    task, _ = new_task(config, start_from=None, device=torch.device("cpu"))
    trainer = Trainer(task, recipe, World())
    losses = []
    started = 0.0
    for step, batch in enumerate(batches):
        if step == recipe.steps // 2:
            started = time.perf_counter()
        losses.append(trainer.train_step([batch]).loss)
    spent = time.perf_counter() - started
    return recipe.batch_size * (recipe.steps - recipe.steps // 2) / spent, losses


def main() -> None:
    """Draw the corpus, train on it in turns; print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--num-workers", type=int, default=0, help="workers of Ray Train; 0: this process, without Ray")
    parser.add_argument("--quick", action="store_true", help="eight steps, four clips, once")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.steps, arguments.clips, arguments.repeats = 8, 4, 1
    torch.set_num_threads(1)
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        prepared = write_prepared(root / "corpus", num_clips=arguments.clips, num_frames=24, size_px=(192, 192))
        appearance = write_appearance(root / "appearance")
        for name, keep_gib in KEPT_GIB.items():
            config = recipes.load(
                AnimateAnyoneTrainConfig,
                None,
                [
                    f"model.appearance={appearance}",
                    f"recipe.steps={arguments.steps}",
                    f"data.keep_gib={keep_gib}",
                    f"log_every_steps={arguments.steps // 2}",
                    f"workers.num={arguments.num_workers}",
                ],
                stage=1,
            )
            peers, rates, waits = [], [], []
            for repeat in range(arguments.repeats):
                peer, expected = in_memory(prepared, config)
                summary, losses = ours(prepared, root / f"{name} {repeat}".replace(" ", "-"), config)
                np.testing.assert_allclose(losses, expected, rtol=1e-4)
                peers.append(peer)
                rates.append(summary["samples_per_second"])
                waits.append(summary["data_wait_share"])
            found[name] = {
                "samples_per_second": [round(rate, 2) for rate in rates],
                "in_memory_samples_per_second": [round(rate, 2) for rate in peers],
                "ratio": round(statistics.median(np.array(rates) / np.array(peers)), 2),
                "data_wait_share": round(max(waits), 5),
            }
    print(f"{'clips':16}{'samples/s':>12}{'in memory':>12}{'ratio':>8}{'waiting':>10}")
    for name, row in found.items():
        print(
            f"{name:16}{statistics.median(row['samples_per_second']):12.2f}"
            f"{statistics.median(row['in_memory_samples_per_second']):12.2f}"
            f"{row['ratio']:8.2f}{row['data_wait_share']:10.2%}"
        )
    print(
        json.dumps(
            {
                "benchmark": "train",
                "steps": arguments.steps,
                "batch_size": config.recipe.batch_size,
                "frames_per_sample": config.recipe.sampling.num_frames,
                "width_px": config.recipe.sampling.width_px,
                "height_px": config.recipe.sampling.height_px,
                "clips": arguments.clips,
                "workers": arguments.num_workers,
                **found,
            }
        )
    )


if __name__ == "__main__":
    main()
