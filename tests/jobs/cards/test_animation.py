from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from animation_cards import RUN, metadata, scores

from jobs.cards.animation import CardText, write_card
from models.common.checkpoint import save_checkpoint
from models.common.digest import file_digest

TEXT = CardText(title="Thing", command="make thing", corpus="dots", comparison="Mind the gap.")


def card(folder: Path, **about: Any) -> str:
    path = folder / "embedded.safetensors"
    save_checkpoint({"weight": torch.zeros(1)}, path, metadata={**metadata(), **about})
    write_card(path, TEXT)
    return (folder / "CARD.md").read_text(encoding="utf-8")


def compared(name: str, first: float) -> dict[str, Any]:
    found = {setting: scores(first + 10 * index) for index, setting in enumerate(("retargeted", "misfit", "rescaled"))}
    return {"name": name, "training": "toy 14", "clips": 3, "scores": found}


def test_no_comparison_section_without_comparison(tmp_path: Path) -> None:
    assert "## Comparison" not in card(tmp_path)
    text = card(tmp_path, comparison=[])
    assert "## Comparison" not in text
    assert TEXT.comparison not in text


def test_runs_name_their_system_and_initialisation(tmp_path: Path) -> None:
    grown = {**RUN, "stage": 2, "model": {"name": "other", "partial_start": True}}
    text = card(tmp_path, runs=[RUN, grown])
    assert "| toy | 1 | 7 |" in text
    assert "| other | 2 | 7 |" in text
    assert "- toy, stage 1: `{}`" in text
    assert "- other, stage 2 (initialised with the tensors of the run before" in text


def test_comparison_has_a_row_per_run_and_all_settings(tmp_path: Path) -> None:
    text = card(tmp_path, comparison=[compared("this checkpoint", 0), compared("w/o pose", 100)])
    assert "on 17 pairs of held-out puppets in each setting" in text
    heads = "retargeted: PSNR, dB | retargeted: keypoints | misfit: PSNR, dB | misfit: keypoints | rescaled: PSNR, dB |"
    assert heads in text
    assert TEXT.comparison in text
    assert "| this checkpoint | toy 14 | 3 | 0.00 | 3.00 | 10.00 | 13.00 | 20.00 | 23.00 |" in text
    assert "| w/o pose | toy 14 | 3 | 100.00 | 103.00 | 110.00 | 113.00 | 120.00 | 123.00 |" in text
    assert "| the reference repeated |  |  | 1.00 | 4.00 | 11.00 | 14.00 | 21.00 | 24.00 |" in text
    assert "| the true frames |  |  |  | 5.00 |  | 15.00 |  | 25.00 |" in text


def test_card_has_scores_runs_and_file(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    save_checkpoint({"weight": torch.zeros(2)}, path, metadata=metadata())
    write_card(path, CardText(title="Toy", command="make", corpus="nothing", promised={"psnr_gain_db": "3"}))
    text = (tmp_path / "CARD.md").read_text(encoding="utf-8")
    assert text.startswith("# Toy, trained on puppets")
    assert "| toy | 1 | 7 | 3 | 1.5 | 2026-01-02 | abacus |" in text
    assert file_digest(path) in text
    assert "| gain over the reference repeated, dB | 3 | 2.00 | 102.00 | 202.00 |" in text
    assert "on 17 pairs of held-out puppets" in text
    assert "at 16 pixels" in text
