from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pyarrow.parquet as pq
import pytest
import typer
from PIL import Image

from jobs.cli.main import app, main
from jobs.verbs.puppets import write_puppets

NAMES = {
    *("model", "models", "preset", "set_", "max_failed", "tracking_uri", "experiment", "ray_address"),
    *("reason", "stage", "measure", "group_by", "protocol", "setting", "task", "names", "networks", "compare", "which"),
}
"""Parameters that are words, not paths."""


def parameters(group: typer.Typer) -> Iterator[tuple[str, str, Any, Any]]:
    """Command, name, type and option or argument of every parameter."""
    for inner in group.registered_groups:
        yield from parameters(inner.typer_instance)
    for command in group.registered_commands:
        for name, hint in get_type_hints(command.callback, include_extras=True).items():
            if get_origin(hint) is Annotated:
                kind, info, *_ = get_args(hint)
                yield command.callback.__name__, name, kind, info


def test_every_path_that_a_person_types_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    checked = set()
    for command, name, kind, info in parameters(app):
        if kind in (str, str | None, list[str], list[str] | None) and name not in NAMES:
            assert info.parser is not None, f"{command}: {name} is neither a path nor one of NAMES"
            assert info.parser("../x") == str(tmp_path / "x"), f"{command}: {name}"
            checked.add(name)
    assert checked >= {"sources", "out", "clips", "dataset", "reference", "driving", "prepared", "start_from", "truth"}


def test_truth_may_be_a_word() -> None:
    parser = next(info.parser for _, name, _, info in parameters(app) if name == "truth")
    assert (parser("driving"), parser("column:../x")) == ("driving", "column:../x")


def test_a_neighbouring_folder_serves_as_source_list_and_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rows name absolute paths, so that workers in other folders open them."""
    work, videos = tmp_path / "work", tmp_path / "videos"
    work.mkdir()
    write_puppets(videos, num_videos=1, seed=1, size_px=(96, 64), fps=8, seconds=1)
    Image.new("RGB", (64, 96)).save(tmp_path / "hero.png")
    monkeypatch.chdir(work)
    arguments = ["pair", "../hero.png", "../videos/videos", "--out", "../requests.parquet"]
    monkeypatch.setattr("sys.argv", ["zoetrope", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0, capsys.readouterr().err
    (row,) = pq.read_table(tmp_path / "requests.parquet").to_pylist()
    assert row["reference_uri"] == str(tmp_path / "hero.png")
    assert Path(row["driving_uri"]).parent == videos / "videos"
