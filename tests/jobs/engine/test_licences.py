"""`--licence-check commercial`: what may not be sold is refused before anything starts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.cli.main import main
from jobs.engine.licences import check_licences
from models.systems import find_model
from stages.prepare.pose import PoseConfig

Cli = Callable[..., tuple[int, str]]


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ZOETROPE_WEIGHTS", raising=False)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["zoetrope", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return run


ALL_OF_PRESET = (
    "error: --licence-check commercial: the licences of sapiens-pose-133-1b (CC-BY-NC-4.0), sapiens-depth-1b "
    "(CC-BY-NC-4.0) do not allow commercial use"
)


def test_all_weights_that_may_not_be_sold_are_named_at_once(cli: Cli, tmp_path: Path) -> None:
    job = ("prepare", "no_clips", "--out", "prepared", "--preset", "sapiens-sam2")
    code, message = cli(*job, "--licence-check", "commercial")
    assert (code, message.count("\n")) == (2, 1)
    assert message.startswith(ALL_OF_PRESET)
    (tmp_path / "job.yaml").write_text("licence_check: commercial")
    assert cli(*job, "--config", "job.yaml") == (2, message)
    assert cli(*job, "--licence-check", "any", "--config", "job.yaml")[1].startswith("error: this job needs")
    (tmp_path / "job.yaml").write_text("licence_check: comercial")
    assert "licence_check: got 'comercial'" in cli(*job, "--config", "job.yaml")[1]
    assert not (tmp_path / "prepared").exists()


@pytest.mark.parametrize(
    ("model", "licence"),
    [("musepose", "musepose (MusePose (research only))"), ("unianimate", "unianimate (none stated)")],
)
def test_animation_models_are_checked(cli: Cli, model: str, licence: str, tmp_path: Path) -> None:
    job = ("animate", "--reference", "a.png", "--driving", "b.mp4", "--out", "out", "--model", model)
    code, message = cli(*job, "--licence-check", "commercial")
    assert code == 2
    assert f"the licences of {licence} do not allow" in message
    assert not (tmp_path / "out").exists()


def test_what_ships_and_what_allows_sale_passes() -> None:
    notices = check_licences(
        "commercial",
        networks=[PoseConfig(), PoseConfig(backend="rtmw"), PoseConfig(backend="people")],
        models=[find_model("animate-anyone-puppets"), find_model("animate-anyone"), find_model("animate-anyone-2")],
    )
    (openrail,) = notices
    assert openrail.startswith("CreativeML OpenRAIL-M (clip-vit-l-image-variations) forbids: breaking the law, harm to")
    assert check_licences("any", networks=[PoseConfig(backend="sapiens")]) == []


def test_other_forbidden_uses_are_a_notice() -> None:
    (notice,) = check_licences("commercial", networks=[PoseConfig(backend="sapiens2"), PoseConfig(backend="dwpose")])
    assert notice.startswith("Sapiens2 License (sapiens2-pose-1b) forbids: deepfakes and impersonation, biometric")
