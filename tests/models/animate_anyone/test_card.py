from __future__ import annotations

from pathlib import Path

from tiny_animate_anyone import TINY

from models.animate_anyone.card import write_card
from models.animate_anyone.network import AnimateAnyone
from models.common.checkpoint import file_digest, save_checkpoint


def test_the_card_tells_scores_runs_and_file(tmp_path: Path) -> None:
    path = tmp_path / "embedded.safetensors"
    run = {"stage": 1, "steps": 7, "clips": 3, "minutes": 1.5, "date": "2026-01-02", "machine": "abacus", "recipe": {}}
    names = (
        "psnr_db",
        "psnr_repeat_db",
        "psnr_gain_db",
        "keypoints",
        "keypoints_repeat",
        "keypoints_truth",
        "keypoints_skeleton",
        "short_side_px",
        "pairs",
    )
    scores = {name: 10.0 + index for index, name in enumerate(names)}
    save_checkpoint(
        AnimateAnyone(TINY).state_dict(),
        path,
        metadata={"runs": [run], "scores": {"retargeted": scores, "exact": {**scores, "psnr_gain_db": 5.0}}},
    )
    write_card(path)
    text = (tmp_path / "CARD.md").read_text(encoding="utf-8")
    assert "| 1 | 7 | 3 | 1.5 | 2026-01-02 | abacus |" in text
    assert file_digest(path) in text
    assert "| gain over the reference repeated, dB | 12.00 | 3 | 5.00 |" in text
    assert "on 18 pairs of held-out puppets" in text
    assert "at 17 pixels" in text
