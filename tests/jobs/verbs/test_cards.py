"""`zoetrope evaluate cards` for models of the user's own training."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from animation_cards import RUN

from jobs.cli.main import main
from models.common.checkpoint import save_checkpoint
from pipelines.engine.ledger import Ledger
from pipelines.evaluation.tables import MeasuredValue, ModelTable, publish_tables
from stages.io.storage import Storage

NAME = "animate-anyone-puppets"
Cards = Callable[..., tuple[int, str, str]]


def table(model: str, psnr_db: float) -> ModelTable:
    value = MeasuredValue(name="psnr_db", n=16, value=psnr_db)
    return ModelTable(model=model, setting="task=figures", ok=16, rejected=0, failed=0, values=(value,))


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cards:
    """`evaluate cards` of measures of two trained models, of which one was published to `mine`."""
    tables = (table(f"{NAME}@mine", 20.5), table(f"{NAME}@other", 31.25))
    publish_tables(Ledger(Storage(str(tmp_path / "scores")), "animation_id"), tables)
    (tmp_path / "mine").mkdir()
    about = {"runs": [{**RUN, "model": {"name": NAME, "network": {}}}], "scores": {}}
    save_checkpoint({"weight": torch.zeros(1)}, tmp_path / "mine" / "network.safetensors", metadata=about)
    monkeypatch.chdir(tmp_path)

    def run(*options: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["zoetrope", "evaluate", "cards", "scores", *options])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def test_the_card_of_a_folder_has_its_own_measures_and_the_others_are_named(cards: Cards, tmp_path: Path) -> None:
    code, out, err = cards("--model", "mine")
    assert code == 0, err
    card = (tmp_path / "mine" / "CARD.md").read_text()
    assert f"card: {tmp_path / 'mine' / 'CARD.md'}" in out
    assert f"| `{NAME}@mine` | 20.50 |" in out
    assert card.startswith(f"# {NAME}, trained by `zoetrope train`")
    assert "20.50" in card
    assert "31.25" not in card + out
    assert "](.." not in card  # the card does not lie in the project
    assert err == (
        f"warning: no card of {NAME}@other: it does not ship; --model names the folder to which it was published\n"
    )


def test_a_folder_without_measures_or_without_a_model_is_one_line(cards: Cards, tmp_path: Path) -> None:
    code, _, err = cards()
    assert code == 2
    assert err.splitlines()[-1].startswith(f"error: {tmp_path}/scores has no table of a model that ships or of --model")
    code, _, err = cards("--model", "scores")
    assert (code, err.count("\n")) == (2, 1)
    assert f"{tmp_path}/scores holds no network.safetensors, expected a folder of `zoetrope train publish`" in err
    shutil.copytree(tmp_path / "mine", tmp_path / "unmeasured")
    code, _, err = cards("--model", "unmeasured")
    assert (code, err.count("\n")) == (2, 1)
    assert f"has no table of {NAME}@unmeasured in a held-out task; it has those of {NAME}@mine, {NAME}@other" in err
    assert not list(tmp_path.rglob("CARD.md"))
