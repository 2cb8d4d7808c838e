from __future__ import annotations

import gc
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
from line_task import LineTask, recipe, run

from models.training.parallel import World
from models.training.trainer import Trainer, TrainingState

HALFWAY = 4


def _worker(rank: int, folder: str, strategy: str, accumulation: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/{strategy}", rank=rank, world_size=2)
    _two_halves(World(rank=rank, size=2, strategy=strategy), folder, accumulation)  # type: ignore[arg-type]
    gc.collect()  # DDP objects that outlive the process group occasionally hang
    dist.barrier()
    dist.destroy_process_group()


def _two_halves(world: World, folder: str, accumulation: int) -> None:
    """Runs half of the steps, then the rest in a new trainer that loads the state of the first."""
    first = Trainer(LineTask(), recipe(accumulation=accumulation), world)
    losses = run(first, HALFWAY)
    second = Trainer(LineTask(), recipe(accumulation=accumulation), world)
    second.load(first.state())
    losses += run(second)
    state = second.state()
    if world.rank == 0:
        torch.save(
            {"losses": losses, "weights": state.weights, "history": state.history}, f"{folder}/{world.strategy}.pt"
        )


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "accumulation"), [("ddp", 2), ("fsdp", 1)])
def test_two_workers_equal_one_with_the_same_batch(tmp_path: Path, strategy: str, accumulation: int) -> None:
    torch.multiprocessing.spawn(_worker, args=(str(tmp_path), strategy, accumulation), nprocs=2)
    alone = Trainer(LineTask(), recipe(), World())
    losses = run(alone)
    sharded = torch.load(tmp_path / f"{strategy}.pt", weights_only=True)
    assert sharded["losses"] == pytest.approx(losses, rel=1e-4)
    state: TrainingState = alone.state()
    for name, value in state.weights.items():
        assert torch.allclose(sharded["weights"][name], value, atol=1e-5), name
    # Gradient norms are those of the full batch, not of one worker's share.
    assert torch.allclose(sharded["history"], state.history, rtol=1e-4)
