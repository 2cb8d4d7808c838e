"""Runs with scenery and with faces: both stages of X-Dyna at its smallest size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import tiny_x_dyna
import torch
import yaml
from small_faces import write_faces
from small_jobs import options
from small_prepared import write_clips
from stand_in_x_dyna import save_base, small_config, small_model
from tiny_animate_anyone import write_appearance

from jobs.engine.console import Console
from jobs.engine.spec import JobResult
from jobs.training.config import load
from jobs.verbs.train import train
from models.common.checkpoint import read_tensors
from models.common.digest import CheckpointError
from models.common.safetensors_file import read_metadata
from models.systems import SYSTEMS
from models.weights.resolve import MissingWeightsError
from pipelines.training.corpus import TrainingDataError

SIZE_PX = (64, 64)
DRY = {"dry_run": True}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`prepared`, `twins` and `scenery`, and the folder of encoders."""
    root = tmp_path_factory.mktemp("data")
    write_faces(root, num_clips=3)
    write_faces(root / "twins", num_clips=3, twins=True)
    write_clips(root, num_clips=2)
    write_appearance(root / "appearance")
    return root


@pytest.fixture
def run(
    data: Path, tmp_path: Path, one_thread: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[JobResult, str]]:
    """Train X-Dyna with small encoders, or another model; what the console shows besides the result."""
    system = SYSTEMS["x-dyna"]
    variant = replace(system.variants["x-dyna"], encoders="puppets")
    monkeypatch.setitem(SYSTEMS, "x-dyna", replace(system, variants={"x-dyna": variant}))

    def call(out: str, stage: int, *assignments: str, name: str = "x-dyna", **how: Any) -> tuple[JobResult, str]:
        recipe: dict[str, Any] = {
            "model": {"encoders": str(data / "appearance")},
            "recipe": {
                "steps": 3,
                "batch_size": 2,
                "precision": "float32",
                "gradient_checkpointing": False,
                "optimizer": {"learning_rate": 1e-2},
                "sampling": {"height_px": SIZE_PX[0], "width_px": SIZE_PX[1], "num_frames": 2, "frame_step": 1},
            },
        }
        recipe |= how.pop("recipe", {})
        if name == "x-dyna" and "network" not in recipe["model"]:
            recipe["model"]["network"] = asdict(tiny_x_dyna.TINY)
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        result = train(
            str(data / "prepared"),
            str(tmp_path / out),
            config=load(name, tmp_path / "recipe.yaml", assignments, stage=stage),
            options=options(tmp_path, **how.pop("options", {})),
            console=Console(),
            **how,
        )
        return result, capsys.readouterr().out

    return call


def weights(result: JobResult) -> dict[str, torch.Tensor]:
    return read_tensors(Path(result.summary["weights"]))


def test_both_stages(run: Callable[..., tuple[JobResult, str]], data: Path, tmp_path: Path) -> None:
    """Stage 1 on people and scenery leaves the face alone; stage 2, on the twins' faces, trains nothing else."""
    scenery = f"data.scenery={data / 'clips'}"
    first, text = run("one", 1, scenery)
    assert first.exit_code == 0, first.summary
    assert "scenery: 2 clips without a character, 50% of the samples" in text
    assert "faces" not in text
    twins = f"data.faces={data / 'twins' / 'prepared'}"
    shown = ("sample_videos.every_steps=3", "sample_videos.num_videos=1", "sample_videos.num_frames=3")
    measured = ("heldout.every_steps=3", "heldout.num_clips=1", "heldout.num_frames=3")
    second, text = run("two", 2, twins, *shown, *measured, start_from=str(tmp_path / "one"))
    assert second.exit_code == 0, second.summary
    assert f"faces: of other characters, from {data / 'twins' / 'prepared'}" in text
    assert "self-driven" not in text
    assert "held out: 1 clips, measured every 3 steps" in text
    assert pq.read_table(tmp_path / "two" / "heldout.parquet")["psnr_db"].null_count == 0
    assert (tmp_path / "two" / "samples" / "step-00000003-0.mp4").stat().st_size > 0
    one, two = weights(first), weights(second)
    changed = {name for name, tensor in two.items() if not torch.equal(tensor, one[name])}
    assert changed
    assert all(name.startswith("face_control.") for name in changed)
    runs = read_metadata(Path(second.summary["weights"]))["runs"]
    assert [(each["scenery_clips"], each["faces_of_twins"]) for each in runs] == [(2, False), (0, True)]


def test_the_first_stage_starts_from_public_base_models(
    run: Callable[..., tuple[JobResult, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "weights"
    paths = save_base(folder)
    model = small_model()
    variant = replace(model.variant, encoders="x-dyna")
    monkeypatch.setitem(SYSTEMS, "x-dyna", replace(model.system, variants={"x-dyna": variant}))
    recipe = {"model": {"encoders": str(folder), "network": asdict(small_config())}}
    with pytest.raises(CheckpointError, match=r"holds no unet/unet-checkpoint.*has sd-1\.5-unet, animatediff"):
        run("base", 1, recipe=recipe, start_from=str(tmp_path))
    result, _ = run("base", 1, "recipe.steps=1", "recipe.batch_size=1", recipe=recipe, start_from=str(folder))
    assert result.exit_code == 0, result.summary
    trained, unet = weights(result), read_tensors(paths["sd-1.5-unet"])
    assert all(torch.equal(trained[f"denoiser.{name}"], tensor) for name, tensor in unet.items())
    assert all(trained[name].any() for name in trained if name.endswith("to_out_ff.weight"))
    [record] = read_metadata(Path(result.summary["weights"]))["runs"]
    assert record["started_from"] == ["sd-1.5-unet", "animatediff-v1", "ip-adapter-plus", "controlnet-openpose"]

    paths["controlnet-openpose"].unlink()
    with pytest.raises(MissingWeightsError, match=r"controlnet-openpose.*`zoetrope weights fetch controlnet-openpose"):
        run("missing", 1, recipe=recipe, start_from=str(folder))
    assert not (tmp_path / "missing").exists()


def test_a_resumed_run_keeps_its_samples(run: Callable[..., tuple[JobResult, str]], data: Path, tmp_path: Path) -> None:
    settings = (f"data.scenery={data / 'clips'}", "recipe.steps=2")
    run("broken", 1, *settings)
    for other in ((settings[0], "recipe.sampling.scenery_share=0.4"), ()):
        with pytest.raises(ValueError, match=r"holds a run that was begun with another recipe.* scenery, faces or"):
            run("broken", 1, *other)
    run("broken", 1, settings[0])
    run("unbroken", 1, settings[0])
    losses = [pq.read_table(tmp_path / out / "curves.parquet")["loss"].to_pylist() for out in ("broken", "unbroken")]
    assert losses[0] == losses[1]


def test_faces_that_are_not_of_others_are_said(
    run: Callable[..., tuple[JobResult, str]], data: Path, tmp_path: Path
) -> None:
    assert "note: self-driven faces: patches are cut out of the targets" in run("a", 2, options=DRY)[1]
    few = write_faces(tmp_path / "few", num_clips=2, twins=True)
    text = run("a", 2, f"data.faces={few}", options=DRY)[1]
    assert "note: of 3 clips, 1 without a twin with status ok and enough frames (clip-002) in data.faces" in text
    assert "train x-dyna, stage 2: 2 clips" in text
    with pytest.raises(TrainingDataError, match="2 remain, expected at least 3"):
        run("a", 2, f"data.faces={few}", "data.min_faces_share=0.9", options=DRY)
    text = run("b", 1, f"data.faces={data / 'nothing'}", options=DRY)[1]
    assert "note: data.faces is not read: recipe.sampling.face_control is off" in text


def test_samples_without_a_face_are_counted(
    run: Callable[..., tuple[JobResult, str]], data: Path, tmp_path: Path
) -> None:
    blank = write_faces(tmp_path / "blank", num_clips=3, twins=True, faceless={0, 1, 2})
    assert ", 6 samples without a face\n" in run("blank", 2, f"data.faces={blank}")[1]
    assert "without a face" not in run("shown", 2, f"data.faces={data / 'twins' / 'prepared'}")[1]


def test_data_that_does_not_serve_stops_the_run(
    run: Callable[..., tuple[JobResult, str]], data: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingDataError, match="animate-anyone-puppets reads no face control; leave recipe"):
        run("c", 1, "recipe.sampling.face_control=true", name="animate-anyone-puppets")
    with pytest.raises(TrainingDataError, match=r"face_weight is 4, but no face is drawn; set recipe.sampling"):
        run("c", 1, "recipe.loss.face_weight=4", name="animate-anyone-puppets")
    with pytest.raises(TrainingDataError, match=r"sets a character into a scene.*leave data\.scenery out"):
        run("c", 1, f"data.scenery={data / 'clips'}", "data.truth=x", name="animate-anyone-2-puppets")
    for stage, given in ((1, "true"), (2, "false")):
        with pytest.raises(ValueError, match=rf"stage {stage} is trained with sampling.face_control=.*, got {given}"):
            run("c", stage, f"recipe.sampling.face_control={given}")


def test_other_systems_are_trained_on_scenery_too(run: Callable[..., tuple[JobResult, str]], data: Path) -> None:
    result, text = run("anyone", 1, f"data.scenery={data / 'clips'}", "recipe.steps=1", name="animate-anyone-puppets")
    assert result.exit_code == 0, result.summary
    assert "scenery: 2 clips" in text
