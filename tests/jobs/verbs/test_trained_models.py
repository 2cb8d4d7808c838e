"""A model of the user's own training, from the command line: trained, animated with, trained on, published."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import yaml
from puppet_media import write_driving, write_reference
from small_jobs import PUPPETS, tracking_uri
from small_prepared import write_prepared
from tiny_animate_anyone import TINY, tiny_recipe, write_appearance

from jobs.cli.main import main
from jobs.training.trained_models import open_trained

NAME = "animate-anyone-puppets"
Zoetrope = Callable[..., tuple[int, str]]


@pytest.fixture
def zoetrope(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Zoetrope:
    def run(*arguments: object, tracked: bool = False) -> tuple[int, str]:
        tracking = ("--tracking-uri", tracking_uri(tmp_path / "mlflow.db")) if tracked else ()
        monkeypatch.setattr(sys, "argv", ["zoetrope", *map(str, arguments), *tracking])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out + err

    return run


@pytest.fixture
def run(zoetrope: Zoetrope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of two steps, with a VAE and an image encoder of its own."""
    prepared = write_prepared(tmp_path / "prepared", num_clips=2)
    recipe = tiny_recipe(write_appearance(tmp_path / "appearance"), steps=2)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    monkeypatch.chdir(tmp_path)
    code, text = zoetrope("train", NAME, prepared, "--out", "runs/mine", "--config", "recipe.yaml", tracked=True)
    assert code == 0, text
    return tmp_path / "runs" / "mine"


def rows_of(dataset: Path) -> dict[str, dict[str, Any]]:
    return {row["request_id"]: row for row in pyarrow.dataset.dataset(dataset).to_table().to_pylist()}


@pytest.mark.slow
def test_a_run_is_animated_with_trained_on_and_published(
    ray_cluster: None, one_thread: None, zoetrope: Zoetrope, run: Path, tmp_path: Path
) -> None:
    write_reference(tmp_path / "a.png")
    write_driving(tmp_path / "a.mp4")
    small = ("--set", "workers.default.actors=1", "--set", "workers.default.cpus=0.5", "--size", 64, 64)
    one = ("animate", "--reference", "a.png", "--driving", "a.mp4", "--out", "results", *PUPPETS, *small)
    code, text = zoetrope(*one, "--model", "runs/../runs/mine", tracked=True)
    assert code == 0, text
    assert f"{NAME}@mine: trained weights {run}/checkpoints/step-00000002/weights.safetensors" in text
    assert "was trained on drawn puppets" not in text  # the notice of the model that ships
    (row,) = rows_of(tmp_path / "results").values()
    assert (row["status"], row["model"], row["num_steps"]) == ("ok", f"{NAME}@mine", None)
    again = (*one, "--model", run, "--dry-run")
    assert "1 done before, 0 to do" in zoetrope(*again)[1]

    # Trained on, it is another model: the row is stale.
    trained = ("train", NAME, tmp_path / "prepared" / "prepared", "--out", run, "--config", "recipe.yaml")
    assert zoetrope(*trained, "--set", "recipe.steps=3", tracked=True)[0] == 0
    assert "0 done before, 1 to do" in zoetrope(*again)[1]

    # A publication has the run's encoders beside it, and needs nothing else.
    assert zoetrope("train", "publish", run, "--pairs", 0)[0] == 0
    published = run / "published"
    assert {path.name for path in published.iterdir()} == {
        *("network.safetensors", "vae.safetensors", "image_encoder.safetensors", "CARD.md"),
    }
    card = (published / "CARD.md").read_text()
    assert "on 2 clips of 64 x 64 pixels" in card
    assert "Its animations were not measured" in card
    for of_other_weights in ("--only-humans", "Apache", "drawn puppets"):
        assert of_other_weights not in card
    (tmp_path / "appearance").rename(tmp_path / "elsewhere")

    # In a table: by an absolute path in the working directory, and nowhere else.
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    shutil.copytree(published, outside)
    models = [part for model in (published, outside) for part in ("--model", model)]
    assert zoetrope("pair", "a.png", "a.mp4", *models, "--size", 64, 64, "--out", "requests.parquet")[0] == 0
    ids = {row["model"]: row["request_id"] for row in pq.read_table("requests.parquet").to_pylist()}
    assert ids.keys() == {str(published), str(outside)}
    assert ids[str(published)].endswith(f".{NAME}.mine-published")
    code, text = zoetrope(
        "animate", "requests.parquet", "--out", "table", *PUPPETS, *small[:4], "--max-failed", 1, tracked=True
    )
    assert code == 0, text
    rows = rows_of(tmp_path / "table")
    good, refused = rows[ids[str(published)]], rows[ids[str(outside)]]
    assert (good["status"], good["model"]) == ("ok", f"{NAME}@mine-published")
    assert (refused["status"], refused["reason"], refused["model"]) == ("failed", "NotAllowed", str(outside))
    assert f"a row may name a trained model only by its path in {tmp_path};" in refused["message"]


def test_a_run_whose_encoders_are_gone_is_not_used_with_others(run: Path, tmp_path: Path, zoetrope: Zoetrope) -> None:
    assert open_trained(str(run)).model.variant.config == TINY
    (tmp_path / "appearance" / "vae.safetensors").unlink()
    code, text = zoetrope("pair", "a.png", "a.mp4", "--model", run, "--out", "requests.parquet")
    assert code == 2
    assert f"that {NAME} was trained with are not found in {tmp_path / 'appearance'}" in text
    assert text.count("\n") == 1
