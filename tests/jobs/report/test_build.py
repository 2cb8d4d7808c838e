from datetime import UTC, datetime

import pyarrow as pa
import pytest

from jobs.engine.config import JobConfig
from jobs.engine.spec import Job, JobEnd
from jobs.report.build import NUM_SHEETS, job_report, prepare_report
from models.perception.shipped import OBJECTS_NOTICE
from models.video.encode import write_h264
from pipelines.engine.ledger import Counts, Ledger
from pipelines.engine.manifest import Manifest
from pipelines.engine.schema import CLIP_COLUMNS, PREPARED_COLUMNS, dataset_schema
from pipelines.engine.tally import Tally
from stages.io.storage import Storage


@pytest.fixture
def ledger(prepared, tmp_path):
    """Twelve clips of one video: three rejected, one failed, and one with a missing source."""
    row, frames = prepared
    video = tmp_path / "puppet.mp4"
    write_h264(video, frames, fps=8)
    window = {"uri": str(video), "size_bytes": video.stat().st_size, "start_seconds": 0.0, "frame_step": 1, "fps": 8.0}
    row = {**row, **window, "work_width_px": 64, "work_height_px": 96, "attempts": 1, "motion_magnitude": 0.3}
    ledger = Ledger(Storage(str(tmp_path / "prepared")), "clip_id")
    schema = dataset_schema("prepared", pa.schema(CLIP_COLUMNS), PREPARED_COLUMNS)
    for i in range(12):
        outcome = {}
        if i < 3:
            outcome = {"status": "rejected", "stage": "select", "reason": "NoMotion", "message": "motion is 0.001"}
        if i == 3:
            outcome = {"status": "failed", "stage": "decode", "reason": "DecodeError", "message": "broken at 1.5 s"}
            outcome |= dict.fromkeys(PREPARED_COLUMNS)
        ledger.commit({**row, "clip_id": f"clip-{i}", "work_key": f"{i:064x}", **outcome}, schema)
    ledger.compact()
    return ledger


def end_of(ledger, **changes):
    job = Job(
        verb="prepare",
        arguments={},
        out=ledger.storage.url,
        manifest=Manifest(url="out/clips", id_column="clip_id", required={}, optional={}),
        id_column="clip_id",
        key_columns=(),
        written=PREPARED_COLUMNS,
        steps=(),
        config=JobConfig(),
        notices=("The embedded networks know puppets only.",),
    )
    fields = {
        "job": job,
        "job_id": "20260102T030405-abcdef01",
        "counts": Counts(total=12, ok=8, rejected=3, failed=1),
        "tally": Tally(rows=12),
        "seconds": 30.0,
        "started_at": datetime(2026, 1, 2, tzinfo=UTC),
        "provenance": {"code_version": "0.1.0+abc", "weights": {"pose": "sha256:" + "ab" * 32}},
        "ledger": ledger,
        "error": None,
        "mlflow_run_id": "0123456789abcdef",
    }
    return JobEnd(**{**fields, **changes})


def test_prepare_report_has_counts_pictures_and_provenance(ledger):
    html = prepare_report(end_of(ledger))
    assert '<b id="n-ok">8</b>' in html
    assert html.count('<article class="card sheet') == NUM_SHEETS
    assert html.count('class="pill rejected">rejected · NoMotion</span></div>\n      <div class="facts"') == 2
    for text in (
        "broken at 1.5 s",
        "The embedded networks know puppets only.",
        "0.1.0+abc",
        "0123456789abcdef",
        "ab" * 32,
    ):
        assert text in html
    assert "threshold 0.01" in html  # motion_magnitude
    assert "short_side_px" in html
    assert "target_fps" not in html  # a setting of another verb


@pytest.mark.parametrize("pose", ["people", "embedded"])
def test_report_names_the_networks_that_saw_the_rows(pose, tmp_path):
    ledger = Ledger(Storage(str(tmp_path / "prepared")), "clip_id")
    schema = dataset_schema("prepared", pa.schema(CLIP_COLUMNS), PREPARED_COLUMNS)
    for number, networks in enumerate([{"pose": pose}, {"pose": pose, "object_masks": "embedded"}, None]):
        row = {"clip_id": f"clip-{number}", "work_key": f"{number:064x}", "status": "rejected", "reason": "NoMotion"}
        ledger.commit({**row, "networks": networks}, schema)
    ledger.compact()
    html = prepare_report(end_of(ledger))
    assert "network of pose" in html
    assert f"{pose} (2 rows)" in html
    assert "embedded (1 row)" in html
    # Of a job in which all networks are embedded, another notice says so.
    assert (OBJECTS_NOTICE in html) is (pose == "people")


def test_clips_whose_source_is_gone_cost_their_pictures_only(ledger, tmp_path):
    (tmp_path / "puppet.mp4").unlink()
    html = prepare_report(end_of(ledger))
    assert "8 of the clips chosen for pictures could not be decoded again." in html
    assert "<img" not in html
    assert '<b id="n-ok">8</b>' in html


def test_rows_of_other_manifests_are_mentioned(ledger):
    html = job_report(end_of(ledger, counts=Counts(total=10, ok=8, rejected=1, failed=1)))
    assert "holds 2 rows that this manifest does not name" in html


def test_report_of_an_empty_dataset(tmp_path):
    ledger = Ledger(Storage(str(tmp_path / "empty")), "clip_id")
    end = end_of(ledger, counts=Counts(total=3), tally=Tally(), error="no space left", mlflow_run_id=None)
    html = prepare_report(end)
    assert '<b id="n-not-run">3</b>' in html
    assert "no space left" in html
