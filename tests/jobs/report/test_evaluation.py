from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from browser import CHROMIUM, Page, browse, open_page

import jobs.report.evaluation as evaluation_module
from jobs.engine.config import JobConfig
from jobs.engine.spec import Job, JobEnd
from jobs.report.evaluation import NUM_BEST, NUM_MEDIAN, NUM_WORST, comparison_sheet, evaluate_report
from models.metrics.pixels import psnr
from models.puppets import render, sample_spec
from models.video.encode import write_h264
from pipelines.engine.keys import pipeline_key, stage_keys
from pipelines.engine.ledger import Counts, Ledger
from pipelines.engine.manifest import Manifest, columns_of
from pipelines.engine.schema import COMPARED_COLUMNS, PAIR_COLUMNS, dataset_schema
from pipelines.engine.steps import Step, Workers
from pipelines.engine.tally import Tally
from pipelines.evaluation.tables import MeasuredValue, ModelTable
from stages.evaluate.frames import ComparedFramesStage, FramesConfig
from stages.io.storage import Storage

HOSTILE = "<script>alert('x')</script><img src=https://evil.example/x.png>"
NUM_FRAMES = 6


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Twenty-one animations of one truth, the later the noisier; two models; one failed and one not animated."""
    folder = tmp_path_factory.mktemp("pairs")
    stage = ComparedFramesStage(FramesConfig())
    keys = {"pipeline_key": pipeline_key(stage_keys([stage]))}
    named = []
    truth = np.stack([frame.rgb for frame in render(sample_spec(8, size_px=(96, 64)), fps=8, num_frames=NUM_FRAMES)])
    write_h264(folder / "truth.mp4", truth, fps=8)
    ledger = Ledger(Storage(str(folder / "evaluated")), "animation_id")
    schema = dataset_schema("evaluate", pa.schema(PAIR_COLUMNS), COMPARED_COLUMNS)
    for i in range(21):
        noise = np.random.default_rng(i).integers(-4 * i, 4 * i + 1, truth.shape)
        noise[: NUM_FRAMES // 2] //= 2
        animation = (truth + noise).clip(0, 255).astype(np.uint8)
        write_h264(folder / f"{i:02d}.mp4", animation, fps=8)
        values = psnr(animation, truth)
        row = {
            "animation_id": HOSTILE if i == 20 else f"puppet-{i:02d}",
            "animation_uri": str(folder / f"{i:02d}.mp4"),
            "truth_uri": str(folder / "truth.mp4"),
            "model": "animate-x-puppets" if i % 2 else "animate-anyone-puppets",
            "setting": "num_steps=20",
            "num_frames": NUM_FRAMES,
            "size_rule": "unchanged",
            "psnr_db": float(values.mean()),
            "worst_frame": int(values.argmin()),
            "l1": 0.01 * i,
            "status": "ok",
            "work_key": f"{i:064x}",
            "attempts": 1,
        }
        ledger.commit({**keys, **row, "setting": "a setting of an earlier job"}, schema)
        named.append({name: row.get(name) for name in PAIR_COLUMNS})
    # Rows that the manifest does not name, and rows of other settings.
    ledger.commit({**keys, **row, "animation_id": "stranger", "work_key": "a" * 64, "psnr_db": 1.0}, schema)
    stale = {**row, "animation_id": "stale", "work_key": "b" * 64, "psnr_db": 1.0, "pipeline_key": "old"}
    ledger.commit(stale, schema)
    named.append({name: stale.get(name) for name in PAIR_COLUMNS})
    pq.write_table(pa.Table.from_pylist(named, schema=pa.schema(PAIR_COLUMNS)), folder / "pairs.parquet")
    failed = {"status": "failed", "stage": "frames", "reason": "NotFound", "message": HOSTILE}
    ledger.commit({"animation_id": "lost", "truth_uri": HOSTILE, "work_key": "f" * 64, "attempts": 1, **failed}, schema)
    ledger.compact()
    return folder, ledger


@pytest.fixture
def tables(monkeypatch):
    """Tables of the two models; how they come about is tested with the pipeline."""
    lines = (
        MeasuredValue(name="psnr_db", n=10, value=24.31, ci_low=23.05, ci_high=25.5),
        MeasuredValue(name="flicker", n=10, value=0.031, ci_low=0.02, ci_high=0.04, truth_value=0.012),
        MeasuredValue(name="fvd", n=10, value=812.4, note="covariance of 10 samples in 400 dimensions is singular"),
    )
    named = ("animate-anyone-puppets", "animate-x-puppets")
    made = tuple(
        ModelTable(model=name, setting="num_steps=20", ok=10, rejected=0, failed=1, values=lines) for name in named
    )
    monkeypatch.setattr(evaluation_module, "evaluation_tables", lambda _: made)


def end_of(ledger, **arguments):
    stage = ComparedFramesStage(FramesConfig())
    job = Job(
        verb="evaluate",
        arguments=arguments,
        out=ledger.storage.url,
        manifest=Manifest(
            url=f"{ledger.storage.url}/../pairs.parquet",
            id_column="animation_id",
            required=columns_of(PAIR_COLUMNS, ("animation_id",)),
            optional={name: kind for name, kind in PAIR_COLUMNS.items() if name != "animation_id"},
        ),
        id_column="animation_id",
        key_columns=(),
        written=COMPARED_COLUMNS,
        steps=(Step(stage=stage, workers=Workers()),),
        config=JobConfig(),
        notices=("LPIPS is not computed: vgg16-397923af.pth is missing.",),
    )
    return JobEnd(
        job=job,
        job_id="20260102T030405-abcdef01",
        counts=Counts(total=22, ok=21, failed=1),
        tally=Tally(rows=22),
        seconds=30.0,
        started_at=datetime(2026, 1, 2, tzinfo=UTC),
        provenance={"code_version": "0.1.0+abc", "weights": {}},
        ledger=ledger,
        error=None,
    )


@pytest.mark.usefixtures("tables")
def test_report_has_measures_pictures_and_values_worst_first(pairs):
    _, ledger = pairs
    html = evaluate_report(end_of(ledger, protocol="tiktok"))
    page = Page(html)
    assert page.tags.count("img") == 3 * (NUM_WORST + NUM_MEDIAN + NUM_BEST)
    assert not {"script", "iframe", "object", "embed", "form"} & set(page.tags)
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert "&lt;script&gt;alert(" in html
    places = [html.index(f">{name}</h3>") for name in ("puppet-19", "puppet-18", "puppet-13", "puppet-10", "puppet-00")]
    assert places == sorted(places)
    values = html[html.index('id="animation-values"') :]
    assert values.index("puppet-19") < values.index("puppet-18") < values.index("puppet-00")
    for text in (
        "as published, not measured here",
        "Animate Anyone 2, arXiv 2502.06145, Table 1",
        "23.05 to 25.50",
        "covariance of 10 samples in 400 dimensions is singular",
        "LPIPS is not computed: vgg16-397923af.pth is missing.",
        "its stage did not run",
        "(worst)",
    ):
        assert text in html


@pytest.mark.usefixtures("tables")
def test_animations_are_those_of_the_tables(pairs):
    html = evaluate_report(end_of(pairs[1]))
    animations = html[html.index('id="animations"') : html.index('id="definitions"')]
    assert "stranger" not in animations
    assert "stale" not in animations
    assert "a setting of an earlier job" not in html


@pytest.mark.usefixtures("tables")
def test_without_a_protocol_models_are_compared_with_each_other_only(pairs):
    html = evaluate_report(end_of(pairs[1]))
    assert 'id="comparison"' in html
    assert "as published" not in html


@pytest.mark.usefixtures("tables")
def test_a_missing_video_costs_its_pictures_only(pairs, tmp_path):
    folder, ledger = pairs
    (folder / "20.mp4").rename(tmp_path / "20.mp4")
    try:
        html = evaluate_report(end_of(ledger))
    finally:
        (tmp_path / "20.mp4").rename(folder / "20.mp4")
    assert "1 of the animations chosen for pictures could not be decoded again." in html
    assert Page(html).tags.count("img") == 3 * (NUM_WORST + NUM_MEDIAN + NUM_BEST - 1)


def test_report_of_an_empty_dataset(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation_module, "evaluation_tables", lambda _: ())
    html = evaluate_report(end_of(Ledger(Storage(str(tmp_path / "empty")), "animation_id")))
    assert 'id="not-computed"' in html
    assert 'id="animations"' not in html


def test_pictures_show_the_difference_and_the_worst_frame():
    truth = np.zeros((9, 32, 32, 3), np.uint8)
    animation = truth.copy()
    animation[5, :, :, 0] = 30
    sheet = comparison_sheet({"animation_id": "a", "worst_frame": 5}, animation, truth, place="worst")
    assert [panel.label for panel in sheet.panels] == ["Animation", "Truth", "Difference × 4"]
    assert dict(sheet.facts)["shown"] == "1, 4, 5 (worst), 7"


def test_frames_of_another_number_are_refused():
    frames = np.zeros((2, 8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="of one shape"):
        comparison_sheet({"animation_id": "a"}, frames, frames[:1], place="best")


@pytest.mark.usefixtures("tables")
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_shows_all_pictures_without_errors_or_requests(pairs, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(evaluate_report(end_of(pairs[1], protocol="x-dyna")), encoding="utf-8")
    with open_page(path, tmp_path) as page:
        assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
        for width_px in (1280, 390):
            page.resize(width_px, 900)
            assert page.evaluate("document.documentElement.scrollWidth") <= width_px
        assert page.errors == []
    assert browse(path, tmp_path, "--dump-dom")[1:] == ([], set())
