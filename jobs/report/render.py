"""Rendering of a job report as one self-contained HTML file, without scripts or external requests."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
import yaml

from jobs.report.measured import Evaluation
from jobs.report.sheets import ContactSheet
from jobs.report.summary import Histogram, Summary
from jobs.report.videos import ShownVideo
from stages.redact import redact, redact_text

BARS_WIDTH = 240
BARS_HEIGHT = 84


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportData:
    """Contents of a report. Secrets in settings, URIs and messages are redacted by `render_report`."""

    job: str
    """The verb: `prepare`."""
    job_id: str
    noun: str
    """Plural noun for rows: `clips`."""
    started_at: datetime
    seconds: float
    """Wall time of the job."""
    rows_run: int
    """Number of rows run by this start of the job, excluding those finished before."""
    n_in: int
    ok: int
    rejected: int
    failed: int
    summary: Summary
    settings: Mapping[str, Any]
    """The resolved configuration."""
    provenance: Mapping[str, str]
    """Label -> value: code version, weights, dataset, MLflow run."""
    notices: tuple[str, ...] = ()
    """Notices on the reliability or licence of results."""
    error: str | None = None
    """Reason for an early stop; None: the job completed."""
    sheets: tuple[ContactSheet, ...] = ()
    videos: tuple[ShownVideo, ...] = ()
    evaluation: Evaluation | None = None

    @property
    def not_run(self) -> int:
        """Number of rows without an outcome: 0 unless the job stopped early."""
        return self.n_in - self.ok - self.rejected - self.failed


def render_report(data: ReportData) -> str:
    """Render the page. All values from rows are escaped; the result is valid UTF-8."""
    environment = template_environment()
    environment.filters |= {
        "bare": redact_text,
        "bars": _bars,
        "data_uri": _data_uri,
        "duration": _duration,
        "number": _number,
        "rate": _rate,
        "share": _share,
        "shorten": _shorten,
        "singular": _singular,
        "tidy": _tidy,
    }
    settings = yaml.safe_dump(redact(data.settings), sort_keys=False, allow_unicode=True)
    html = environment.get_template("report.html").render(
        data=data, settings=settings, bars_width=BARS_WIDTH, bars_height=BARS_HEIGHT
    )
    # Lone surrogates, as in file names that are not valid UTF-8, cannot be encoded.
    return html.encode("utf-8", errors="replace").decode()


def template_environment() -> jinja2.Environment:
    """Environment of the templates in this folder: escapes all values, and fails for an undefined name."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Bar:
    """Bin of a histogram in picture coordinates: a bar of ok rows, with the other rows stacked on top."""

    x: float
    width: float
    ok_y: float
    ok_height: float
    not_ok_y: float
    not_ok_height: float
    title: str


def _bars(histogram: Histogram) -> list[_Bar]:
    tallest = max(ok + not_ok for ok, not_ok in zip(histogram.ok, histogram.not_ok, strict=True))
    step = BARS_WIDTH / len(histogram.ok)
    unit = BARS_HEIGHT / tallest
    bin_size = (histogram.high - histogram.low) / len(histogram.ok)
    bars = []
    for i, (ok, not_ok) in enumerate(zip(histogram.ok, histogram.not_ok, strict=True)):
        start = histogram.low + i * bin_size
        interval = f"{start + bin_size / 2:.0f}" if bin_size == 1 else f"{_tidy(start)} to {_tidy(start + bin_size)}"
        bars.append(
            _Bar(
                x=round(i * step + 0.5, 2),
                width=round(step - 1, 2),
                ok_y=round(BARS_HEIGHT - ok * unit, 2),
                ok_height=round(ok * unit, 2),
                not_ok_y=round(BARS_HEIGHT - (ok + not_ok) * unit, 2),
                not_ok_height=round(not_ok * unit, 2),
                title=f"{interval}: {ok} ok, {not_ok} not ok",
            )
        )
    return bars


def _number(value: int) -> str:
    return f"{value:,}"


def _singular(noun: str) -> str:
    return noun.removesuffix("s")


def _tidy(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _share(part: float, whole: float) -> float:
    """Percentage, for widths of bars; 0 if `whole` is 0."""
    return round(100 * part / whole, 3) if whole > 0 else 0.0


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}" if per_second >= 100 else f"{per_second:.3g}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if hours == 0:
        return f"{minutes} min {seconds % 60:.0f} s"
    return f"{hours:,} h {minutes % 60} min"


def _shorten(text: str, length: int) -> str:
    """Shorten a text to about `length` characters, keeping both ends."""
    half = length // 2
    return text if len(text) <= length else f"{text[:half]}…{text[-half:]}"


def _data_uri(data: bytes, media_type: str = "image/webp") -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
