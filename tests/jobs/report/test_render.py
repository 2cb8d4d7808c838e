from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from browser import CHROMIUM, Page, browse
from PIL import Image

from jobs.report.render import ReportData, render_report
from jobs.report.sheets import contact_sheet
from jobs.report.summary import summarise
from jobs.report.videos import ShownVideo
from models.video.encode import write_h264

HOSTILE = "<script>alert('x')</script><img src=https://evil.example/x.png>"


@pytest.fixture
def data(prepared):
    row, frames = prepared
    rows = [{**row, "clip_id": f"clip-{i}", "person_share": i / 40} for i in range(36)]
    rows += [
        {
            **row,
            "clip_id": f"still-{i}",
            "status": "rejected",
            "stage": "select",
            "reason": "NoMotion",
            "message": "still",
        }
        for i in range(5)
    ]
    failed = {"status": "failed", "stage": "pose", "reason": "UnexpectedError", "attempts": 2}
    rows += [
        {"clip_id": HOSTILE, "uri": "s3://AKIA:hunter2@bucket/x.mp4", "message": f"RuntimeError: {HOSTILE}", **failed}
    ]
    sheets = (
        contact_sheet(row, frames[:2], [0, 1]),
        contact_sheet({**row, "clip_id": HOSTILE, "status": "rejected", "reason": HOSTILE}, frames[:1], [0]),
    )
    return ReportData(
        job="prepare",
        job_id="20260102T030405-abcdef01",
        noun="clips",
        started_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        seconds=95.5,
        rows_run=40,
        n_in=44,
        ok=36,
        rejected=5,
        failed=1,
        summary=summarise(rows, id_column="clip_id", thresholds={"person_share": 0.5, "sharpness": 5.0}),
        settings={"prepare": {"decode": {"short_side_px": 256}, "hf_token": "hunter2"}},
        provenance={"code version": "0.1.0", "dataset": "s3://me:hunter2@bucket/prepared", "note": HOSTILE},
        notices=("The embedded networks know puppets only.",),
        error="TooManyFailures: s3://me:hunter2@bucket is full",
        sheets=sheets,
    )


def test_page_says_what_happened(data):
    html = render_report(data)
    page = Page(html)
    assert {name: page.texts[name] for name in ("n-in", "n-ok", "n-rejected", "n-failed", "n-not-run")} == {
        "n-in": "44",
        "n-ok": "36",
        "n-rejected": "5",
        "n-failed": "1",
        "n-not-run": "2",
    }
    for text in (
        "The embedded networks know puppets only.",
        "1 min 36 s",
        "NoMotion",
        "short_side_px: 256",
        "stopped early",
    ):
        assert text in html


def test_page_is_self_contained_and_what_rows_say_is_text(data):
    html = render_report(data)
    page = Page(html)
    assert not {"script", "iframe", "object", "embed", "form"} & set(page.tags)
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert page.tags.count("img") == sum(len(sheet.panels) for sheet in data.sheets)
    assert "&lt;script&gt;alert(" in html
    assert "hunter2" not in html


def test_page_without_rows(data):
    empty = replace(data, summary=summarise([], id_column="clip_id"), sheets=(), notices=(), error=None)
    html = render_report(replace(empty, n_in=0, ok=0, rejected=0, failed=0, rows_run=0, seconds=0.0))
    assert "No stage ran." in html
    assert 'id="problems"' not in html


def test_any_text_can_be_encoded(data):
    html = render_report(replace(data, job_id="lone \ud800 surrogate, \x00, \u202e turned"))
    assert "lone ? surrogate" in html.encode().decode()


def test_a_very_long_id_does_not_fill_the_page(data):
    summary = summarise([{"clip_id": "x" * 10_000, "status": "failed", "reason": "InvalidRow"}], id_column="clip_id")
    assert "x" * 200 not in render_report(replace(data, summary=summary, sheets=()))


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_shows_it_without_errors_or_requests(data, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(render_report(data), encoding="utf-8")
    dom, console, outside = browse(path, tmp_path, "--dump-dom")
    assert console == []
    assert outside == set()
    page = Page(dom)
    assert (page.texts["n-in"], page.texts["n-ok"], page.texts["n-rejected"], page.texts["n-failed"]) == (
        "44",
        "36",
        "5",
        "1",
    )
    assert "script" not in page.tags


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_browser_would_have_told(data, tmp_path):
    """Counter-test of `browse`: detects a script error and an external picture."""
    path = tmp_path / "report.html"
    path.write_text(render_report(data).replace("<main>", f"<main>{HOSTILE}"))
    _, console, _ = browse(path, tmp_path, "--dump-dom")
    assert len(console) == 2


@pytest.fixture
def with_videos(data, tmp_path):
    """Report with one all-green animation instead of contact sheets."""
    write_h264(tmp_path / "green.mp4", [np.full((256, 512, 3), (0, 200, 0), np.uint8)] * 40, fps=20)
    video = ShownVideo(
        request_id=HOSTILE,
        mp4=(tmp_path / "green.mp4").read_bytes(),
        facts=(("picture", "s3://me:hunter2@bucket/a.png"), ("driven by", HOSTILE)),
    )
    return replace(data, job="animate", noun="animations", sheets=(), videos=(video,))


def test_a_page_with_videos_is_self_contained_too(with_videos):
    html = render_report(with_videos)
    page = Page(html)
    assert page.tags.count("video") == 1
    assert "script" not in page.tags
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert any(address.startswith("data:video/mp4;base64,") for address in page.addresses)
    assert "hunter2" not in html
    assert "Driving face" not in html


def test_a_page_shows_the_driving_face(with_videos):
    (video,) = with_videos.videos
    html = render_report(replace(with_videos, videos=(replace(video, face_webp=b"strip"),)))
    assert 'src="data:image/webp;base64,c3RyaXA="' in html
    assert Page(html).tags.count("script") == 0
    assert "Orange: no face in this frame" in html


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_decodes_the_videos(with_videos, tmp_path):
    path, shot = tmp_path / "report.html", tmp_path / "shot.png"
    path.write_text(render_report(with_videos), encoding="utf-8")
    _, console, outside = browse(
        path, tmp_path, f"--screenshot={shot}", "--window-size=1280,2400", "--virtual-time-budget=4000"
    )
    assert console == []
    assert outside == set()
    pixels = np.asarray(Image.open(shot).convert("RGB")).astype(int)
    assert (np.abs(pixels - (0, 200, 0)).max(axis=2) < 12).sum() > 50_000
