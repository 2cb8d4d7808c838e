from __future__ import annotations

from pathlib import Path

from animation_cards import metadata
from models.animate_anyone.card import write_card
from tiny_animate_anyone import TINY

from models.animate_anyone.network import AnimateAnyone
from models.common.checkpoint import save_checkpoint
from models.common.digest import file_digest


def test_the_card_tells_scores_runs_and_file(tmp_path: Path) -> None:
    path = tmp_path / "embedded.safetensors"
    save_checkpoint(AnimateAnyone(TINY).state_dict(), path, metadata=metadata())
    write_card(path)
    text = (tmp_path / "CARD.md").read_text(encoding="utf-8")
    assert text.startswith("# Embedded Animate Anyone")
    assert "| toy | 1 | 7 | 3 | 1.5 | 2026-01-02 | abacus |" in text
    assert file_digest(path) in text
    assert "| gain over the reference repeated, dB | 3 | 2.00 | 102.00 | 202.00 |" in text
    assert "on 17 pairs of held-out puppets" in text
    assert "at 16 pixels" in text
