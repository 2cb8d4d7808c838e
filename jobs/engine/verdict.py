"""Judgement of a finished job: the number of failed rows that is allowed, and what is remarkable about its outcomes."""

from __future__ import annotations

import math

from pipelines.engine.ledger import Counts

DEFAULT_MAX_FAILED = "10%"
REMARKABLE_SHARE = 0.5
"""Share of rows that are not ok from which a job says so."""


def max_failed(option: str | None, configured: int | None, total: int) -> int:
    """Number of rows that may fail, from the command line, the job file, or the default.

    Raises:
        ValueError: the option is neither a number nor a percentage.
    """
    if option is None and configured is not None:
        return configured
    text = (option or DEFAULT_MAX_FAILED).strip()
    try:
        share = float(text[:-1]) / 100 if text.endswith("%") else None
        number = math.floor(share * total) if share is not None else int(text)
        if number < 0 or (share is not None and share > 1):
            raise ValueError
    except ValueError:
        raise ValueError(f"--max-failed {text}: expected a number of rows or a percentage, as in 50 or 5%") from None
    return number


def too_many_failed(counts: Counts, allowed: int, dataset: str) -> str | None:
    """Error of a job of which more rows failed than allowed, or None."""
    if counts.failed <= allowed:
        return None
    return (
        f"{counts.failed} of {counts.total} rows failed, --max-failed allows {allowed} ({_reasons(counts)}); the "
        f"report and the column `message` say why; `zoetrope retry {dataset}` runs them again"
    )


def few_ok(counts: Counts, where: str) -> str | None:
    """Warning about a job of which most rows are not ok, or None."""
    bad = counts.rejected + counts.failed
    done = counts.total - counts.not_run
    if not done or bad / done <= REMARKABLE_SHARE:
        return None
    return (
        f"{bad} of {done} rows ({bad / done:.0%}) are not ok: {counts.rejected} rejected, {counts.failed} failed "
        f"({_reasons(counts)}); see {where}"
    )


def _reasons(counts: Counts) -> str:
    ordered = sorted((counts.reasons or {}).items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{name} {count}" for name, count in ordered[:3]]
    return ", ".join([*shown, f"{len(ordered) - 3} other reasons"] if len(ordered) > 3 else shown)
