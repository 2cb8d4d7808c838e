"""Measures beside a checkpoint, in its card and in the README."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from animation_cards import metadata

from jobs.cards.animation import CardText, write_card
from jobs.cards.measures import README_MEASURES, is_of_a_task, readme_table, store_measures, stored_measures
from models.common.checkpoint import save_checkpoint
from models.systems import find_model, model_names
from models.weights.resolve import shipped_path
from pipelines.evaluation.tables import MeasuredValue, ModelTable

ROOT = Path(__file__).resolve().parents[3]
TEXT = CardText(title="Toy", command="make", corpus="nothing")


def table(task: str, psnr_db: float, *, model: str = "toy-puppets") -> ModelTable:
    return ModelTable(
        model=model,
        setting=f"task={task}",
        ok=15,
        rejected=1,
        failed=0,
        values=(
            MeasuredValue(name="psnr_db", n=15, value=psnr_db, ci_low=psnr_db - 1, ci_high=psnr_db + 1.5),
            MeasuredValue(name="flicker", n=15, value=0.02, truth_value=0.034),
            MeasuredValue(name="fid", n=1, value=None, note="1 sample"),
        ),
    )


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "network.safetensors"
    save_checkpoint({"weight": torch.zeros(2)}, path, metadata=metadata())
    return path


def card(checkpoint: Path) -> str:
    write_card(checkpoint, TEXT)
    return checkpoint.with_name("CARD.md").read_text(encoding="utf-8")


def test_card_has_the_measures_of_its_weights(checkpoint: Path) -> None:
    tables = (table("figures", 21.25), table("portraits", 9.5))
    store_measures(checkpoint, tables)
    assert stored_measures(checkpoint) == tables
    text = card(checkpoint)
    assert "| measure | figures | portraits |" in text
    assert "| PSNR*, dB ↑ | 21.25 [20.25, 22.75] | 9.500 [8.500, 11.00] |" in text
    assert "| flicker = | 0.020 (true 0.034) | 0.020 (true 0.034) |" in text
    assert "| FID ↓ | – | – |" in text
    assert "measured: figures 15 of 16, portraits 15 of 16" in " ".join(text.split())


def test_measures_of_other_weights_are_not_shown(checkpoint: Path) -> None:
    store_measures(checkpoint, (table("figures", 21.25),))
    save_checkpoint({"weight": torch.ones(2)}, checkpoint, metadata=metadata())
    assert stored_measures(checkpoint) == ()
    assert "## Measures" not in card(checkpoint)


def test_only_held_out_tasks_count() -> None:
    assert is_of_a_task(table("scenes", 20.0))
    assert not is_of_a_task(ModelTable(model="a", setting="default", ok=1, rejected=0, failed=0, values=()))
    assert not is_of_a_task(table("dances", 20.0))


def test_readme_shows_the_measures_of_the_weights_that_ship() -> None:
    shipped = [model for name in model_names() if (model := find_model(name)).variant.ships]
    tables = [each for model in shipped for each in stored_measures(shipped_path(model.variant.weights))]
    assert {each.model for each in tables} == {model.name for model in shipped}
    assert len(README_MEASURES) == 5
    assert readme_table(tables) in (ROOT / "README.md").read_text(encoding="utf-8")
