from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.engine import config as configuration
from jobs.engine.config import JobConfig
from jobs.engine.locations import LOCATION_SETTINGS, absolute_settings, location
from jobs.training.config import TrainConfig


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project" / "today"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def test_a_path_becomes_absolute_without_dots(here: Path) -> None:
    project = here.parent
    assert location("../videos") == str(project / "videos")
    assert location("videos/") == str(here / "videos")
    assert location("./a/../b/./c.mp4") == str(here / "b" / "c.mp4")
    assert location(".") == str(here)
    assert location("..") == str(project)
    assert location("../*/clip-[0-9].mp4") == str(project / "*" / "clip-[0-9].mp4")
    assert location(f"file://{here}/../b.mp4") == str(project / "b.mp4")


def test_dots_after_a_symbolic_link_leave_its_target(here: Path, tmp_path: Path) -> None:
    """As the system opens it. Links of other parts keep their name."""
    (tmp_path / "disk" / "videos").mkdir(parents=True)
    (here / "link").symlink_to(tmp_path / "disk" / "videos")
    assert location("link/../music") == str(tmp_path / "disk" / "music")
    assert location("link/a.mp4") == str(here / "link" / "a.mp4")
    assert location("../today/link/a.mp4") == str(here / "link" / "a.mp4")


@pytest.mark.parametrize("url", ["s3://bucket/a/../b", "gs://bucket/x", "https://host/a?b=/../c", "memory://x"])
def test_urls_stay(url: str, here: Path) -> None:
    assert location(url) == url


@given(st.lists(st.sampled_from(["..", ".", "a", "ü ", "*", "a.mp4"]), min_size=1).map("/".join))
def test_the_result_is_absolute_and_stable(text: str) -> None:
    path = location(text)
    assert path.startswith("/")
    assert ".." not in path.split("/")
    assert location(path) == path


def test_an_empty_text_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a path or a URL"):
        location("")


def test_settings_of_job_files_become_absolute(here: Path) -> None:
    (here / "job.yaml").write_text("prepare: {weights: ../weights, pose: {weights: own}}\n")
    loaded = configuration.load(here / "job.yaml", ["animate.animate.weights=../w"])
    assert loaded.prepare.depth.weights == str(here.parent / "weights")
    assert loaded.prepare.pose.weights == str(here / "own")
    assert loaded.animate.animate.weights == str(here.parent / "w")
    assert absolute_settings({"data": {"truth": "t", "scenery": "s3://b/c"}, "steps": 1, "note": "../x"}) == {
        "data": {"truth": str(here / "t"), "scenery": "s3://b/c"},
        "steps": 1,
        "note": "../x",
    }


def test_every_name_is_a_setting() -> None:
    names = set(_names(JobConfig)) | set(_names(TrainConfig))
    assert names >= LOCATION_SETTINGS


def _names(kind: Any) -> list[str]:
    hints = get_type_hints(kind)
    nested = [inner for hint in hints.values() for inner in (hint, *get_args(hint)) if is_dataclass(inner)]
    return [field.name for field in fields(kind)] + [name for inner in nested for name in _names(inner)]
