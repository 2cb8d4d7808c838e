"""One prepared dataset serves every system."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from small_jobs import options
from small_prepared import write_prepared
from tiny_animate_anyone import tiny_recipe, write_appearance
from tiny_systems import CONFIGS

from jobs.engine.console import Console
from jobs.training.config import load
from jobs.verbs.train import train
from models.common.safetensors_file import read_metadata
from models.systems import SYSTEMS, find_model

SHIPPED = [name for name in CONFIGS if find_model(name).variant.ships]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(tmp_path_factory.mktemp("prepared"), num_clips=3, scene=True)


@pytest.fixture(scope="module")
def appearance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_appearance(tmp_path_factory.mktemp("appearance"))


def test_every_system_that_ships_is_covered() -> None:
    assert {find_model(name).system.name for name in SHIPPED} == {
        system.name for system in SYSTEMS.values() if any(variant.ships for variant in system.variants.values())
    }


@pytest.mark.parametrize("name", SHIPPED)
def test_one_dataset_trains_every_system(
    name: str, prepared: Path, appearance: Path, tmp_path: Path, one_thread: None
) -> None:
    recipe = tiny_recipe(appearance, network=CONFIGS[name], num_frames=2, steps=2)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    result = train(
        str(prepared),
        str(tmp_path / "run"),
        config=load(name, tmp_path / "recipe.yaml", []),
        start_from=None,
        options=options(tmp_path),
        console=Console(json_only=True),
    )
    assert result.exit_code == 0, result.summary
    assert len(pq.read_table(tmp_path / "run" / "curves.parquet")) == 2
    (run,) = read_metadata(Path(result.summary["weights"]))["runs"]
    assert (run["model"]["name"], run["clips"]) == (name, 3)
