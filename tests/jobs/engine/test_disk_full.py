"""Disk full after the last row: the job ends regularly, with an error that states what to do."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from small_jobs import options, small_config

from jobs.engine.console import Console
from jobs.verbs.ingest import ingest
from jobs.verbs.maintenance import report
from stages.io.storage import Storage

pytestmark = pytest.mark.usefixtures("ray_cluster")


def refuse(monkeypatch: pytest.MonkeyPatch, part_of_path: str) -> None:
    publish = Storage.publish

    def publish_elsewhere(self: Storage, name: str, data: bytes) -> None:
        if part_of_path in self.path(name):
            raise OSError(errno.ENOSPC, "No space left on device", self.path(name))
        publish(self, name, data)

    monkeypatch.setattr(Storage, "publish", publish_elsewhere)


def test_the_rows_stand_when_what_follows_them_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "page.mp4").write_bytes(b"<html></html>")
    out, quiet = tmp_path / "out", Console(json_only=True)
    how, config = options(tmp_path, max_failed="1"), small_config()

    def run() -> dict[str, object]:
        done = ingest([str(tmp_path / "page.mp4")], str(out), objects=None, config=config, options=how, console=quiet)
        return {**done.summary, "exit_code": done.exit_code}

    with monkeypatch.context() as full:
        refuse(full, "/clips/")
        first = run()
    assert (first["rows_run"], first["failed"], first["exit_code"]) == (1, 1, 1)
    assert "No space left on device" in str(first["error"])
    assert "make room" in str(first["error"])

    with monkeypatch.context() as full:
        refuse(full, "/_report/")
        second = run()
    assert (second["rows_run"], second["error"], second["exit_code"], second["report"]) == (0, None, 0, None)
    dataset = str(out / "videos")
    assert f"`zoetrope report {dataset}` writes it when there is room" in capsys.readouterr().err
    assert (out / "clips" / "rows-000000.parquet").exists()

    page = report(dataset, options=how, console=quiet).summary["report"]
    assert page == f"{dataset}/_report/report.html"
    assert Path(str(page)).exists()
