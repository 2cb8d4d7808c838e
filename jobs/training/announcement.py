"""Lines before a training run: what it will do, and how long it will take."""

from __future__ import annotations

from jobs.engine.console import Console, duration
from jobs.engine.spec import JobResult
from jobs.training.config import TrainConfig
from jobs.training.data import described, notices
from jobs.training.run_files import CheckpointRecord
from pipelines.training.corpus import Corpus
from pipelines.training.stored_features import StoredFeatures


def announce(
    console: Console,
    corpus: Corpus,
    config: TrainConfig,
    latest: CheckpointRecord | None,
    stored: StoredFeatures | str,
) -> None:
    """Print what a run would do: clips, steps, workers, and where its data come from.

    `latest`: last checkpoint of the run. `stored`: stored features, or why they are not used.
    """
    recipe = config.recipe
    where = f"{config.workers.num} workers ({config.workers.strategy})" if config.workers.num else "this process"
    console.line(
        f"train {config.model.name}, stage {recipe.stage}: {len(corpus.clips)} clips, {recipe.steps} steps of "
        f"{recipe.batch_size} samples, {latest.step if latest else 0} steps done before; by {where}"
    )
    source = f"computed while training, because {stored}" if isinstance(stored, str) else "read from the dataset"
    console.line(f"  latents and image embeddings: {source}")
    for line in described(corpus, config):
        console.line(f"  {line}")
    for notice in notices(corpus, config):
        console.notice(notice)
    if corpus.num_too_short:
        console.notice(
            f"{corpus.num_too_short} clips are left out: they have fewer frames than the {recipe.sampling.span} that a "
            "sample spans"
        )


def dry_run(console: Console, latest: CheckpointRecord | None, steps: int, *, num_clips: int) -> JobResult:
    """Print how long the rest of the steps takes, from those of the run that are done."""
    done = latest.step if latest else 0
    left = max(steps - done, 0)
    per_step = float(latest.facts.get("seconds", 0.0)) / done if latest and done else None
    if per_step:
        console.line(f"  time: about {duration(per_step * left)} for {left} steps, {per_step:.2g} s each as those done")
    elif left:
        console.line(
            "  time: unknown, as no step is done; the same command with --set recipe.steps=20 measures it, and without "
            "goes on from there"
        )
    console.line("dry run: nothing was trained")
    summary = {"verb": "train", "clips": num_clips, "dry_run": True, "steps_left": left, "seconds_per_step": per_step}
    return JobResult(exit_code=0, summary=summary)
