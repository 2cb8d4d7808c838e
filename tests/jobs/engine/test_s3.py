"""Command line on an object store: a local S3 server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_rows import plain_rows
from small_jobs import PUPPETS

from jobs.verbs.puppets import write_puppets

ZOETROPE = str(Path(sys.executable).with_name("zoetrope"))
SECRET = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY"
KEY_ID = "AKIAIOSFODNN7EXAMPLE"
PASSWORD = "hunter2-of-mlflow"
SIGNATURE = "b8a9f0c2d4e6"

# In a separate process, to serve requests while a test waits for a job.
SERVER = """
import logging, time
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("%s:%d" % server.get_host_and_port(), flush=True)
time.sleep(3600)
"""


@dataclass(frozen=True)
class Bucket:
    """S3 server, the environment variables to reach it, and puppet videos in `s3://bucket/videos`."""

    environment: dict[str, str]
    fs: Any
    folder: Path
    server: subprocess.Popen[str]


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    s3fs = pytest.importorskip("s3fs", reason="needs the extra zoetrope[s3]")
    pytest.importorskip("moto", reason="needs the extra zoetrope[dev]")
    folder = tmp_path_factory.mktemp("s3")
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    address = server.stdout.readline().strip()
    endpoint = f"http://{address}"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    fs = s3fs.S3FileSystem(key=KEY_ID, secret=SECRET, endpoint_url=endpoint, use_listings_cache=False)
    write_puppets(folder, num_videos=3, seed=5, size_px=(96, 64), fps=12, seconds=1.0, num_processes=1)
    fs.mkdir("bucket")
    for path in sorted((folder / "videos").glob("*.mp4")):
        fs.pipe_file(f"bucket/videos/{path.name}", path.read_bytes())
    fs.pipe_file("bucket/videos/notes.txt", b"no video")
    prompts = pq.read_table(folder / "objects.parquet").to_pylist()
    # Prompts by URI relative to the table: ids of videos from a listed folder are derived from the URI.
    named = [{**prompt, "video_id": None, "uri": f"videos/{prompt['video_id']}.mp4"} for prompt in prompts]
    with fs.open("bucket/objects.parquet", "wb") as file:
        pq.write_table(pa.Table.from_pylist(named), file)
    yield Bucket(environment=environment, fs=fs, folder=folder, server=server)
    server.kill()
    server.wait()


def zoetrope(bucket: Bucket, folder: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    settings = ("ingest.cut.min_frames=6", "prepare.decode.short_side_px=64", "workers.default.actors=1")
    command = [ZOETROPE, *arguments, *(part for setting in settings for part in ("--set", setting))]
    environment = {**bucket.environment, **changes}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=folder)


def summary_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def rows_of(bucket: Bucket, dataset: str, id_column: str) -> dict[str, dict[str, Any]]:
    rows = plain_rows(pq.read_table(dataset, filesystem=bucket.fs))
    assert len({row[id_column] for row in rows}) == len(rows)
    return {row[id_column]: row for row in rows}


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def objects_under(bucket: Bucket, prefix: str) -> dict[str, bytes]:
    return {name: bucket.fs.cat_file(name) for name in bucket.fs.find(prefix)}


def holding(secrets: Iterable[str], files: dict[str, bytes]) -> list[str]:
    return sorted(name for name, data in files.items() if any(secret.encode() in data for secret in secrets))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ingest_and_prepare_in_a_bucket(bucket: Bucket, tmp_path: Path) -> None:
    def run(*arguments: str) -> dict[str, Any]:
        return summary_of(zoetrope(bucket, tmp_path, *arguments, "--json"))

    ingest = ("ingest", "s3://bucket/videos", "--out", "s3://bucket/out", "--objects", "s3://bucket/objects.parquet")
    prepare = ("prepare", "s3://bucket/out/clips", "--out", "s3://bucket/prepared", *PUPPETS)
    ingested = run(*ingest)
    assert (ingested["rows"], ingested["ok"]) == (3, 3)
    assert ingested["report"] == "s3://bucket/out/videos/_report/report.html"
    videos = rows_of(bucket, "bucket/out/videos", "video_id")
    for row in videos.values():
        path = row["uri"].removeprefix("s3://")
        assert row["fingerprint"] == "etag:" + bucket.fs.info(path)["ETag"].strip('"')

    prepared = run(*prepare)
    assert (prepared["failed"], prepared["not_run"]) == (0, 0)
    before = rows_of(bucket, "bucket/prepared", "clip_id")
    assert len(before) == prepared["rows"] >= 3
    with duckdb.connect() as connection:
        connection.register_filesystem(bucket.fs)
        query = "SELECT count(*), count(DISTINCT clip_id) FROM 's3://bucket/prepared/*.parquet'"
        assert connection.execute(query).fetchall() == [(len(before), len(before))]
    assert [name for name in bucket.fs.find("bucket") if "_parts" in name or "lease" in name] == []
    assert any(row["objects"] for row in before.values())
    assert b"<html" in bucket.fs.cat_file("bucket/prepared/_report/report.html")

    assert run(*prepare)["rows_run"] == 0
    assert rows_of(bucket, "bucket/prepared", "clip_id") == before

    # New content under the same name: only this video and its clips run again.
    changed, other = sorted(videos)[:2]
    bucket.fs.pipe_file(videos[changed]["uri"], bucket.fs.cat_file(videos[other]["uri"]))
    assert run(*ingest)["rows_run"] == 1
    again = run(*prepare)
    after = rows_of(bucket, "bucket/prepared", "clip_id")
    redone = {name for name, row in after.items() if before.get(name, {}).get("committed_at") != row["committed_at"]}
    assert redone >= {name for name in after if name.startswith(f"{changed}.")} != set()
    assert {name.rsplit(".", 1)[0] for name in redone} == {changed}
    assert again["rows_run"] == len(redone)

    assert (tmp_path / "mlflow.db").exists()
    assert (tmp_path / "mlruns").is_dir()
    assert holding([SECRET], {**files_of(tmp_path), **objects_under(bucket, "bucket")}) == []


@pytest.mark.slow
def test_no_secret_is_written_or_said(bucket: Bucket, tmp_path: Path) -> None:
    """Covers the keys of the store, the password of the tracking server, and a signed URL among the sources."""
    link = f"https://reader:{PASSWORD}@media.invalid/a.mp4?X-Amz-Signature={SIGNATURE}"
    (tmp_path / "list.csv").write_text(
        f"uri\ns3://bucket/videos/{next((bucket.folder / 'videos').iterdir()).name}\n{link}\n"
    )
    tracking = f"http://analyst:{PASSWORD}@127.0.0.1:9"
    arguments = ("ingest", "list.csv", "--out", "s3://bucket/secret", "--tracking-uri", tracking, "--max-failed", "1")
    done = zoetrope(bucket, tmp_path, *arguments, "--json", MLFLOW_TRACKING_PASSWORD=PASSWORD)
    summary = summary_of(done)
    assert (summary["ok"], summary["reasons"]) == (1, {"NotAllowed": 1})
    assert "MLflow at http://***@127.0.0.1:9" in done.stderr
    written = objects_under(bucket, "bucket/secret")
    assert {"bucket/secret/videos/_jobs/last.json", "bucket/secret/videos/_report/report.html"} <= written.keys()
    # Tables contain the signed URL, which is their input.
    streams = {"stdout": done.stdout.encode(), "stderr": done.stderr.encode()}
    pages = {name: data for name, data in written.items() if not name.endswith(".parquet")}
    assert holding([SECRET, PASSWORD, SIGNATURE], {**streams, **pages}) == []
    assert holding([SECRET], written) == []
    (message,) = (
        row["message"] for row in rows_of(bucket, "bucket/secret/videos", "video_id").values() if row["message"]
    )
    assert PASSWORD not in message
    assert SIGNATURE not in message
