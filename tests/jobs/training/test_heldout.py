from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from small_jobs import options
from small_prepared import write_prepared
from tiny_animate_anyone import tiny_recipe, write_appearance

from jobs.engine.console import Console
from jobs.engine.spec import JobResult
from jobs.training.config import load
from jobs.training.heldout import COLUMNS, HELDOUT, HeldoutClips
from jobs.verbs.train import train
from models.common.safetensors_file import read_metadata
from models.metrics.pixels import psnr, ssim
from models.metrics.temporal import flicker
from models.training.batch import SampleBatch
from stages.io.storage import Storage

MODEL = "animate-anyone-puppets"


class Brightened:
    """An animator whose frames are the true ones, `levels` brighter."""

    def __init__(self, levels: int) -> None:
        self.levels = levels

    def animate(self, clip: SampleBatch, *, seed: int) -> np.ndarray:
        assert clip.targets_BFHWC is not None
        return clip.targets_BFHWC[0] + np.uint8(self.levels + seed)


def sample(num_frames: int, seed: int) -> SampleBatch:
    frames = np.random.default_rng(seed).integers(0, 200, (1, num_frames, 16, 12, 3), dtype=np.uint8)
    empty = np.zeros((1, num_frames + 1, 133, 3), np.float32)
    return SampleBatch(
        samples_B=np.array([-1]),
        clips_B=np.array([0]),
        targets_BFHWC=frames,
        poses_BFHWC=np.zeros_like(frames),
        references_BHWC=frames[:, 0],
        reference_poses_BHWC=np.zeros_like(frames[:, 0]),
        keypoints_BGK3=empty,
        pose_keypoints_BFK3=empty[:, 1:],
        target_frames_BF=np.arange(num_frames)[None],
        reference_frames_B=np.array([0]),
        mirrored_B=np.array([False]),
        latents_BGCHW=None,
        embeddings_BGE=None,
        signals={},
    )


def test_rows_have_the_measures_of_each_clip(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    clips = [sample(6, 0), sample(1, 1)]
    means = HeldoutClips(["a", "b"], clips).measure(Brightened(10), storage, step=4)  # type: ignore[arg-type]  # a stand-in
    table = pq.read_table(tmp_path / HELDOUT)
    assert table.column_names == ["step", "clip_id", *COLUMNS]
    first, second = table.to_pylist()
    truth = clips[0].targets_BFHWC[0]
    assert (first["step"], first["clip_id"], second["clip_id"]) == (4, "a", "b")
    assert first["psnr_db"] == psnr(truth + np.uint8(10), truth).mean()
    assert first["ssim"] == ssim(truth + np.uint8(10), truth).mean()
    assert first["flicker_truth"] == flicker(truth)
    assert second["l1"] == pytest.approx(11 / 255)
    assert second["flicker"] is second["seam_ratio"] is None  # one frame, one window
    assert means["psnr_db"] == pytest.approx((first["psnr_db"] + second["psnr_db"]) / 2)
    assert means["flicker"] == first["flicker"]
    assert "seam_ratio" not in means


def test_steps_are_added_and_done_again_after_a_kill(tmp_path: Path) -> None:
    storage, clips = Storage(str(tmp_path)), HeldoutClips(["a"], [sample(3, 0)])
    for step in (2, 4, 6):
        clips.measure(Brightened(step), storage, step=step)  # type: ignore[arg-type]  # a stand-in
    clips.measure(Brightened(20), storage, step=4)  # type: ignore[arg-type]  # a stand-in
    table = pq.read_table(tmp_path / HELDOUT)
    assert table["step"].to_pylist() == [2, 4]
    np.testing.assert_allclose(table["l1"].to_numpy() * 255, [2, 20])


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(tmp_path_factory.mktemp("prepared"), num_clips=4)


@pytest.fixture
def run(
    tmp_path: Path, prepared: Path, one_thread: None, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., JobResult]:
    appearance = write_appearance(tmp_path_factory.mktemp("appearance"))
    recipe: dict[str, Any] = {
        **tiny_recipe(appearance),
        "heldout": {"every_steps": 2, "num_clips": 1, "num_frames": 2},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))

    def call(out: str, *assignments: str) -> JobResult:
        return train(
            str(prepared),
            str(tmp_path / out),
            config=load(MODEL, path, assignments),
            options=options(tmp_path),
            console=Console(json_only=True),
        )

    return call


def test_a_run_measures_its_held_out_clips_and_a_resumed_one_the_same(
    tmp_path: Path, run: Callable[..., JobResult]
) -> None:
    from mlflow import MlflowClient

    result = run("unbroken", "recipe.steps=4")
    assert result.exit_code == 0, result.summary
    whole = pq.read_table(tmp_path / "unbroken" / HELDOUT).to_pylist()
    assert [row["step"] for row in whole] == [2, 4]
    assert len({row["clip_id"] for row in whole}) == 1
    last = whole[-1]["psnr_db"]
    assert result.summary["heldout_psnr_db"] == pytest.approx(last)
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    curve = client.get_metric_history(result.summary["mlflow_run_id"], "heldout_psnr_db")
    assert [point.step for point in curve] == [2, 4]
    assert curve[1].value == pytest.approx(last)
    (record,) = read_metadata(Path(result.summary["weights"]))["runs"]
    assert (record["clips"], record["heldout_clips"]) == (3, 1)

    run("out", "recipe.steps=3")
    assert run("out", "recipe.steps=4").summary["first_step"] == 3
    parts = pq.read_table(tmp_path / "out" / HELDOUT).to_pylist()
    assert [row for row in parts if row["step"] != 3] == whole  # 3 was the last step of the shorter run
    with pytest.raises(ValueError, match="was begun with another recipe"):
        run("out", "heldout.num_clips=2")
