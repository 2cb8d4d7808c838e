from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from jobs.cli.main import main
from jobs.engine import config as configuration
from jobs.engine.config import ConfigError, JobConfig, changed_settings
from jobs.engine.console import Console
from jobs.engine.settings import Setting, settings
from jobs.training.config import TrainConfig, load
from jobs.verbs.settings import job_settings, show_settings
from models.systems import model_names


def test_every_setting_of_jobs_and_training_has_a_meaning() -> None:
    for shown in (job_settings(JobConfig()), list(settings(TrainConfig, load("animate-x-puppets", None)))):
        assert [setting.key for setting in shown if not setting.meaning] == []
        assert len({setting.key for setting in shown}) == len(shown)


def test_every_key_is_one_that_set_takes() -> None:
    for setting in job_settings(JobConfig()):
        key = setting.key.replace(".NAME.", ".default.")
        try:
            configuration.load(None, [f"{key}={'puppets' if key.endswith('.preset') else 'null'}"])
        except ConfigError as error:  # most settings may not be null
            message = str(error)
        else:
            message = ""
        assert "no such key" not in message


@dataclass(frozen=True, kw_only=True)
class Inner:
    """`width_px`: width. `height_px`, `depth_px`: other sizes, of
    the box.
    """

    width_px: int = 4
    height_px: int | None = None
    depth_px: tuple[int, ...] = (1, 2)


@dataclass(frozen=True, kw_only=True)
class Outer:
    """A class.

    Args:
        inner: nested.
        named: by name; with a
            second line.
    """

    inner: Inner = field(default_factory=lambda: Inner(width_px=5))
    named: dict[str, Inner] = field(default_factory=dict)
    flag: bool = False
    """Whether it is set."""


def test_meanings_come_from_all_forms_of_documentation() -> None:
    shown = {setting.key: setting for setting in settings(Outer, Outer())}
    assert shown["inner.width_px"] == Setting(key="inner.width_px", kind="int", default="5", meaning="width")
    assert shown["inner.height_px"].meaning == shown["inner.depth_px"].meaning == "other sizes, of the box"
    assert (shown["inner.height_px"].kind, shown["inner.height_px"].default) == ("int | null", "null")
    assert (shown["inner.depth_px"].kind, shown["inner.depth_px"].default) == ("list of int", "[1, 2]")
    assert shown["named.NAME.width_px"].default == "4"
    assert (shown["flag"].default, shown["flag"].meaning) == ("false", "Whether it is set")


def test_config_shows_changed_values(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["zoetrope", "config", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    code, out, _ = run("ingest.cut", "--set", "ingest.cut.num_frames=32")
    assert code == 0
    assert "ingest.cut.num_frames = 32  (int, 48 by default)\n    number of frames of a full window\n" in out
    assert "prepare." not in out
    code, out, _ = run("limits", "--json")
    assert json.loads(out)["settings"][0].keys() == {"key", "type", "default", "value", "meaning"}
    code, _, err = run("prepare.dekode")
    assert (code, err) == (2, "error: no setting begins with 'prepare.dekode'; did you mean prepare.decode?\n")


def test_config_of_a_model_shows_its_recipe() -> None:
    name = model_names()[0]
    shown = show_settings(name, None, ["recipe.steps=3"], console=Console(json_only=True)).summary["settings"]
    values = {one["key"]: one["value"] for one in shown}
    assert values["recipe.steps"] == "3"


def test_parameters_of_a_run_are_the_settings_that_differ(tmp_path: Path) -> None:
    config = configuration.load(
        None, ["prepare.decode.short_side_px=128", "workers.pose.gpus=1", "ingest.cut.num_frames=90"]
    )
    changed = changed_settings(config, "prepare")
    assert changed.pop("prepare.decode.short_side_px") == 128
    assert changed == {f"workers.pose.{name}": value for name, value in WORKERS.items()}


WORKERS = {"actors": 0, "cpus": 1.0, "gpus": 1.0, "memory_gib": 0.0, "threads": 1}
