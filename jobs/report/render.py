"""The report of a job as one HTML file that asks nothing of anyone: no script, no request, pictures inside."""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
import yaml

from jobs.engine.redact import redact, redact_text
from jobs.report.sheets import ContactSheet
from jobs.report.summary import Histogram, Summary
from jobs.report.videos import ShownVideo

BARS_WIDTH = 240
BARS_HEIGHT = 84


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportData:
    """Everything that is on the page. Secrets in settings, URIs and messages are removed when it is rendered."""

    job: str
    """The verb: `prepare`."""
    job_id: str
    noun: str
    """What a row is, in the plural: `clips`."""
    started_at: datetime
    seconds: float
    """Wall time of the job."""
    rows_run: int
    """Rows that this start of the job ran; the others were done before."""
    n_in: int
    ok: int
    rejected: int
    failed: int
    summary: Summary
    settings: Mapping[str, Any]
    """The resolved configuration."""
    provenance: Mapping[str, str]
    """Label to value: code version, weights, dataset, MLflow run."""
    notices: tuple[str, ...] = ()
    """What a reader must know before trusting the results."""
    error: str | None = None
    """Why the job stopped early, if it did."""
    sheets: tuple[ContactSheet, ...] = ()
    videos: tuple[ShownVideo, ...] = ()

    @property
    def not_run(self) -> int:
        """Rows without an outcome: 0 unless the job stopped early."""
        return self.n_in - self.ok - self.rejected - self.failed


def render_report(data: ReportData) -> str:
    """The page. Ids, messages and everything else that comes from rows is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
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
    return environment.get_template("report.html").render(
        data=data, settings=settings, bars_width=BARS_WIDTH, bars_height=BARS_HEIGHT
    )


def write_report(path: Path, data: ReportData) -> None:
    """Write the page to `path` in one step: a reader sees the old page or the new one."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        # A lone surrogate in a row's message must not cost the report.
        temporary.write_bytes(render_report(data).encode("utf-8", errors="replace"))
        os.replace(temporary, path)  # noqa: PTH105  the point is that it replaces
    finally:
        temporary.unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Bar:
    """One bin of a histogram in the coordinates of its picture: rows that are ok below, the others on top of them."""

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
        where = f"{start + bin_size / 2:.0f}" if bin_size == 1 else f"{_tidy(start)} to {_tidy(start + bin_size)}"
        bars.append(
            _Bar(
                x=round(i * step + 0.5, 2),
                width=round(step - 1, 2),
                ok_y=round(BARS_HEIGHT - ok * unit, 2),
                ok_height=round(ok * unit, 2),
                not_ok_y=round(BARS_HEIGHT - (ok + not_ok) * unit, 2),
                not_ok_height=round(not_ok * unit, 2),
                title=f"{where}: {ok} ok, {not_ok} not ok",
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
    """Per cent, for widths of bars."""
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
    """The beginning and the end of a long text: an id of 10,000 characters is one, too."""
    half = length // 2
    return text if len(text) <= length else f"{text[:half]}…{text[-half:]}"


def _data_uri(data: bytes, media_type: str = "image/webp") -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
