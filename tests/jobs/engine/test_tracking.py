import contextlib
import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from jobs.engine import tracking


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return tracking.sqlite_uri(tmp_path_factory.mktemp("store"))


def read(uri, run_id):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    return client, client.get_run(run_id)


def test_records_a_job(uri):
    with tracking.run("prepare", uri=uri, out="s3://me:pw@bucket/corpus/prepared/") as record:
        record.params(
            {"pipeline_key": "0123", "model": "embedded", "hf_token": "hf_abc", "source": "s3://me:pw@bucket/x?sig=1"}
        )
        record.config({"decode": {"width": 512, "password": "hunter2"}})
        record.manifest("s3://me:pw@bucket/clips.parquet", digest="sha256:" + "ab" * 32, num_rows=7)
        record.metrics({"ok": 5, "clips_per_second": 1.5})
        record.file("report.html", b"<p>done</p>")
        record.file("sheets/clip-1.webp", b"webp")
    client, run = read(uri, record.run_id)
    assert run.info.status == "FINISHED"
    assert re.fullmatch(r"prepare corpus/prepared \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", run.info.run_name)
    assert run.data.tags["zoetrope.job"] == "prepare"
    assert run.data.params == {
        "pipeline_key": "0123",
        "model": "embedded",
        "hf_token": "***",
        "source": "s3://***@bucket/x?***",
    }
    assert run.data.metrics == {"ok": 5.0, "clips_per_second": 1.5}
    folder = Path(client.download_artifacts(record.run_id, ""))
    assert (folder / "report.html").read_bytes() == b"<p>done</p>"
    assert (folder / "sheets" / "clip-1.webp").read_bytes() == b"webp"
    assert "hunter2" not in (folder / "config.yaml").read_text()
    assert "width: 512" in (folder / "config.yaml").read_text()
    (dataset,) = run.inputs.dataset_inputs
    assert json.loads(dataset.dataset.source) == {"uri": "s3://***@bucket/clips.parquet"}
    assert json.loads(dataset.dataset.profile)["num_rows"] == 7
    database = Path(uri.removeprefix("sqlite:///"))
    assert folder.is_relative_to(database.parent)
    assert not any(secret in database.read_bytes() for secret in (b"hunter2", b"hf_abc", b"pw@bucket"))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError("no"), "FAILED"),
        (KeyboardInterrupt(), "FAILED"),
        (SystemExit(1), "FAILED"),
        (SystemExit(0), "FINISHED"),
    ],
)
def test_run_ends_when_the_job_raises(uri, error, status):
    with pytest.raises(type(error)):
        with tracking.run("prepare", uri=uri) as record:
            raise error
    assert read(uri, record.run_id)[1].info.status == status


def test_run_that_the_job_marks_as_failed(uri):
    with tracking.run("prepare", uri=uri) as record:
        record.failed = True
    assert read(uri, record.run_id)[1].info.status == "FAILED"


def test_resumed_job_continues_its_run(uri):
    with tracking.run("prepare", uri=uri) as first:
        first.params({"model": "embedded", "limit": 4})
        first.metrics({"ok": 2})
    with tracking.run("prepare", uri=uri, run_id=first.run_id) as second:
        assert read(uri, second.run_id)[1].info.status == "RUNNING"
        second.params({"model": "embedded", "limit": 8, "retry": True})
        second.metrics({"ok": 5})
    run = read(uri, first.run_id)[1]
    assert second.run_id == first.run_id
    assert run.info.status == "FINISHED"
    assert run.data.params == {"model": "embedded", "limit": "4", "retry": "True"}
    assert run.data.tags["resumed_with.limit"] == "8"
    assert run.data.metrics == {"ok": 5.0}


def test_a_run_that_the_store_lacks_is_made_anew(uri):
    with tracking.run("prepare", uri=uri, run_id="0" * 32) as record:
        pass
    assert record.run_id != "0" * 32
    assert read(uri, record.run_id)[1].info.status == "FINISHED"


def use(record):
    record.params({"a": 1})
    record.config({"a": 1})
    record.manifest("clips", digest="sha256:00", num_rows=1)
    record.metrics({"ok": 1})
    record.file("report.html", b"x")


def test_nothing_is_recorded_without_a_store(caplog):
    with tracking.run("prepare", uri=None) as record:
        use(record)
    assert record.run_id is None
    assert not caplog.records


@pytest.mark.parametrize("kind", ["down", "errors", "no store", "unknown scheme"])
def test_a_broken_store_costs_one_warning(kind, tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    server = HTTPServer(("127.0.0.1", 0), Refuse)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "file").write_text("not a folder")
    uri = {
        "down": "http://me:hunter2@127.0.0.1:9",
        "errors": f"http://127.0.0.1:{server.server_port}",
        "no store": tracking.sqlite_uri(tmp_path / "file"),
        "unknown scheme": "ftp://nowhere",
    }[kind]
    with caplog.at_level(logging.WARNING, logger="jobs.engine.tracking"), tracking.run("prepare", uri=uri) as record:
        use(record)
    server.shutdown()
    (warning,) = (entry for entry in caplog.records if entry.name == "jobs.engine.tracking")
    assert "the job goes on without it" in warning.getMessage()
    assert "\n" not in warning.getMessage()
    assert "hunter2" not in warning.getMessage()


class Refuse(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(503)

    def do_POST(self):
        self.send_error(503)

    def log_message(self, *arguments):
        pass


def test_store_that_breaks_in_the_middle_costs_one_warning(tmp_path, caplog, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError("disk full")

    with tracking.run("prepare", uri=tracking.sqlite_uri(tmp_path)) as record:
        assert record.run_id is not None
        monkeypatch.setattr(record._client, "log_batch", refuse)
        use(record)
        use(record)
    assert [entry.levelname for entry in caplog.records if entry.name == "jobs.engine.tracking"] == ["WARNING"]
    assert read(tracking.sqlite_uri(tmp_path), record.run_id)[1].info.status == "FINISHED"


def test_mlflow_that_cannot_be_imported_costs_one_warning(tmp_path, caplog, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with tracking.run("prepare", uri=tracking.sqlite_uri(tmp_path)) as record:
        use(record)
    assert record.run_id is None
    assert [entry.levelname for entry in caplog.records if entry.name == "jobs.engine.tracking"] == ["WARNING"]


def test_a_slow_server_holds_up_neither_the_job_nor_its_end(caplog, monkeypatch):
    """The server answers nothing at all. An interrupted job waits for a limited time."""
    monkeypatch.setattr(tracking, "ABORT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        began = time.monotonic()
        with contextlib.suppress(KeyboardInterrupt), tracking.run("prepare", uri=uri) as record:
            use(record)
            raise KeyboardInterrupt
        assert time.monotonic() - began < 5  # MLflow itself waits for 10 s, three times
        assert record.run_id is None
    (warning,) = (entry for entry in caplog.records if entry.name == "jobs.engine.tracking")
    assert "the run could not be ended (TimeoutError: no answer within 0.3 s)" in warning.getMessage()


def test_the_start_of_a_run_is_announced(uri):
    started = []
    with tracking.run("prepare", uri=uri, on_start=started.append) as record:
        assert started == [record.run_id]


def test_importing_does_not_import_mlflow():
    code = "import sys, jobs.engine.tracking; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_jobs_that_start_together_on_a_fresh_store(tmp_path):
    code = (
        "import sys, pathlib; from jobs.engine import tracking\n"
        "with tracking.run('prepare', uri=tracking.sqlite_uri(pathlib.Path(sys.argv[1]))) as record:\n"
        "    record.metrics({'ok': 1})\n"
        "print(record.run_id)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    jobs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(3)]
    run_ids = {job.communicate()[0].strip() for job in jobs}
    assert len(run_ids) == 3
    assert all(read(tracking.sqlite_uri(tmp_path), run_id)[1].info.status == "FINISHED" for run_id in run_ids)
