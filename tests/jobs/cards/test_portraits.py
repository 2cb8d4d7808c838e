from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from animation_cards import RUN

from jobs.cards.animation import CardText, write_card
from models.common.checkpoint import save_checkpoint

ROWS = ("expression_error", "mouth_error", "character_psnr_db", "features_psnr_db", "clip_psnr_db", "scenery_motion")
SUMMARY = ("expression_gain", "character_gain_db", "scenery_motion_share", "scenery_motion_share_compared")
TEXT = CardText(title="Thing", command="make", corpus="dots", promised={"expression_gain": "0.30"})


def scores(first: float) -> dict[str, float]:
    """Scores of a setting, each another number: `first`, `first` + 1, …"""
    names = [*SUMMARY]
    for name in ROWS:
        stem, unit = (name.removesuffix("_db"), "_db") if name.endswith("_db") else (name, "")
        names += [f"{stem}{suffix}{unit}" for suffix in ("", "_compared", "_repeat")]
        names += [] if unit else [f"{stem}_truth"]
    found = {name: first + index for index, name in enumerate(names)}
    return found | {"pairs": 17.0, "refused_pairs": 1.0, "short_side_px": 16.0}


def card(folder: Path, **about: Any) -> str:
    path = folder / "network.safetensors"
    found = {"portrait-exact": scores(0), "portrait-detected": scores(100)}
    save_checkpoint({"weight": torch.zeros(1)}, path, metadata={"runs": [RUN], "scores": found, **about})
    write_card(path, TEXT)
    return (folder / "CARD.md").read_text(encoding="utf-8")


def test_card_has_gains_over_animate_anyone_beside_their_targets(tmp_path: Path) -> None:
    text = card(tmp_path)
    assert text.startswith("# Thing, trained on puppets")
    assert "at 16 pixels" in text
    assert "(pairs: *portrait-exact*: 17, *portrait-detected*: 17; 2 more were refused)" in text
    assert "| score | target | portrait-exact | portrait-detected |" in text
    assert "| error of the landmarks, below Animate Anyone's by | 0.30 | 0.00 | 100.00 |" in text
    assert "| motion of the scenery, relative to the truth's |  | 2.00 | 102.00 |" in text
    assert "](contact-sheet.webp)" in text
    assert "## Comparison" not in text


def test_card_has_the_scores_of_both_models_the_reference_and_the_truth(tmp_path: Path) -> None:
    text = card(tmp_path)
    found = scores(0)

    def row(name: str, *columns: str, form: str) -> str:
        return " | ".join(format(found[f"{name}{column}"], form) for column in columns)

    errors = row("mouth_error", "", "_compared", "_repeat", "_truth", form=".3f")
    assert f"| the same of the mouth | {errors} | 1" in text
    psnrs = row("character_psnr", "_db", "_compared_db", "_repeat_db", form=".2f")
    assert f"| PSNR of the character's pixels, dB | {psnrs} |  | 1" in text
    motion = row("scenery_motion", "", "_compared", "_repeat", "_truth", form=".2f")
    assert f"| motion of the scenery, levels per frame | {motion} | 1" in text


def test_comparison_has_a_row_per_run_and_per_peer(tmp_path: Path) -> None:
    found = {"portrait-exact": scores(0), "portrait-detected": scores(100)}
    run = {"name": "this checkpoint", "training": "toy 14", "clips": 3, "scores": found}
    other = {**run, "name": "landmarks", "scores": {setting: scores(200) for setting in found}}
    text = card(tmp_path, comparison=[run, other])
    assert "| portrait-exact: landmarks | portrait-exact: character, dB | portrait-exact: scenery, levels |" in text
    assert "| this checkpoint | toy 14 | 3 | 4.000 | 12.00 | 21.00 | 104.000 | 112.00 | 121.00 |" in text
    assert "| landmarks | toy 14 | 3 | 204.000 | 212.00 |" in text
    assert "| Animate Anyone |  |  | 5.000 | 13.00 | 22.00 |" in text
    assert "| the true frames |  |  | 7.000 |  | 24.00 |" in text
