"""Evaluation tables as text for the report: lines of one model, models side by side, published rows beside them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jobs.report.sheets import ContactSheet
from models.metrics.measures import MEASURES, SET_MEASURES
from models.metrics.protocols import Protocol
from pipelines.evaluation.tables import MeasuredValue, ModelTable

ABSENT = "–"
_ARROWS = {"higher": "↑", "lower": "↓", "truth": ""}


@dataclass(frozen=True, kw_only=True, slots=True)
class Heading:
    """A measure as the heading of a column or line. `arrow`: direction of better values, empty if nearer to the truth
    is better.
    """

    name: str
    title: str
    unit: str
    arrow: str
    definition: str
    deviation: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One measure of one model; numbers as text."""

    heading: Heading
    n: int
    value: str
    interval: str
    truth: str
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredModel:
    """All measures of one model in one setting."""

    model: str
    setting: str
    ok: int
    rejected: int
    failed: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparedModel:
    """Row of a comparison. `source`: paper and table of a published row; empty: measured here."""

    label: str
    setting: str
    source: str
    cells: tuple[str, ...]
    best: tuple[bool, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Models side by side, those of the papers last."""

    headings: tuple[Heading, ...]
    rows: tuple[ComparedModel, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class AnimationRow:
    """Measures of one animation, as text."""

    animation_id: str
    model: str
    setting: str
    cells: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Section of a report with all measures of a dataset of `evaluate`.

    Args:
        models: one table per model and setting.
        comparison: None for a single model without published rows.
        protocol: protocol of the job, if it has one.
        not_computed: title of a measure -> reason why it has no value.
        sorted_by: measure by which animations are sorted, worst first; None: none of them has a value.
        headings: columns of `animations`.
        animations: the worst animations.
        num_animations: number of all compared animations.
        sheets: pictures of some animations beside their truth.
    """

    models: tuple[MeasuredModel, ...]
    comparison: Comparison | None
    protocol: Protocol | None
    not_computed: Mapping[str, str]
    sorted_by: Heading | None
    headings: tuple[Heading, ...]
    animations: tuple[AnimationRow, ...]
    num_animations: int
    sheets: tuple[ContactSheet, ...]

    @property
    def reasons(self) -> dict[str, tuple[str, ...]]:
        """Titles of the measures that were not computed, by reason."""
        titles: dict[str, tuple[str, ...]] = {}
        for title, reason in self.not_computed.items():
            titles[reason] = (*titles.get(reason, ()), title)
        return titles

    @property
    def legend(self) -> tuple[Heading, ...]:
        """All measures that occur on the page, in the order of the registry."""
        shown = {heading.name for heading in self.headings}
        shown |= {line.heading.name for model in self.models for line in model.lines}
        shown |= {heading.name for heading in (self.comparison.headings if self.comparison else ())}
        return tuple(heading(name) for name in (*MEASURES, *SET_MEASURES) if name in shown)


def heading(name: str) -> Heading:
    """Heading of a measure of either registry. Raises KeyError for an unknown name."""
    if name in MEASURES:
        measure = MEASURES[name]
        title, unit, arrow = measure.title, measure.unit, _ARROWS[measure.better]
        return Heading(
            name=name, title=title, unit=unit, arrow=arrow, definition=measure.definition, deviation=measure.deviation
        )
    distance = SET_MEASURES[name]
    return Heading(
        name=name,
        title=distance.title,
        unit="",
        arrow=_ARROWS["lower"],
        definition=distance.definition,
        deviation=distance.deviation,
    )


def shown(value: float | None) -> str:
    """A value of a measure as text: 28.41, 0.718, 2.70e-04, which keeps three digits."""
    if value is None or not math.isfinite(value):
        return ABSENT
    size = abs(value)
    if size >= 10:
        return f"{value:,.2f}"
    return f"{value:.3f}" if size >= 1e-2 or size == 0 else f"{value:.2e}"


def measured_model(table: ModelTable) -> MeasuredModel:
    """Table of one model as text."""
    return MeasuredModel(
        model=table.model,
        setting=table.setting,
        ok=table.ok,
        rejected=table.rejected,
        failed=table.failed,
        lines=tuple(_line(value) for value in table.values),
    )


def _line(value: MeasuredValue) -> Line:
    interval = ABSENT
    if value.ci_low is not None and value.ci_high is not None:
        interval = f"{shown(value.ci_low)} to {shown(value.ci_high)}"
    return Line(
        heading=heading(value.name),
        n=value.n,
        value=shown(value.value),
        interval=interval,
        truth=shown(value.truth_value),
        note=value.note,
    )


def compare(tables: Sequence[ModelTable], protocol: Protocol | None) -> Comparison | None:
    """Models side by side, setting by setting: the columns of the protocol, or without one all measures that have a
    value. The best of each setting is marked: settings may be different tasks.

    Returns None where there is nothing to compare with.
    """
    tables = sorted(tables, key=lambda table: (table.setting, table.model))
    if len(tables) < 2 and (protocol is None or not protocol.published):
        return None
    measured = {value.name for table in tables for value in table.values if value.value is not None}
    names = protocol.measures if protocol else tuple(n for n in (*MEASURES, *SET_MEASURES) if n in measured)
    headings = tuple(heading(name) for name in names)
    values = [{value.name: value.value for value in table.values} for table in tables]
    best = {
        (setting, h.name): _best(
            h.arrow, [row.get(h.name) for table, row in zip(tables, values, strict=True) if table.setting == setting]
        )
        for setting in {table.setting for table in tables}
        for h in headings
    }
    rows = [
        ComparedModel(
            label=table.model,
            setting=table.setting,
            source="",
            cells=tuple(shown(row.get(name)) for name in names),
            best=tuple(row.get(name) is not None and row.get(name) == best[table.setting, name] for name in names),
        )
        for table, row in zip(tables, values, strict=True)
    ]
    rows += [
        ComparedModel(
            label=row.model,
            setting="",
            source=row.source,
            cells=tuple(shown(row.values.get(name)) for name in names),
            best=(False,) * len(names),
        )
        for row in (protocol.published if protocol else ())
    ]
    return Comparison(headings=headings, rows=tuple(rows))


def _best(arrow: str, values: Iterable[float | None]) -> float | None:
    """Best of several measured values; None if they do not differ, or the measure has no direction."""
    known = {value for value in values if value is not None}
    if len(known) < 2 or not arrow:
        return None
    return max(known) if arrow == _ARROWS["higher"] else min(known)


def not_computed(tables: Iterable[ModelTable], protocol: Protocol | None, stages: Iterable[str]) -> dict[str, str]:
    """Measures without a value, with the reason. Measures of the protocol, or all without one.

    Args:
        tables: tables of all models.
        protocol: protocol of the job.
        stages: names of the stages of the job.
    """
    notes: dict[str, str] = {}
    have: set[str] = set()
    for table in tables:
        for value in table.values:
            if value.value is not None:
                have.add(value.name)
            elif value.note:
                notes[value.name] = value.note
    ran = set(stages)
    reasons = {}
    for name in protocol.measures if protocol else (*MEASURES, *SET_MEASURES):
        if name in have:
            continue
        stage = (MEASURES.get(name) or SET_MEASURES[name]).stage
        absent = "its stage did not run: it was not asked for, or its weights are missing"
        reasons[heading(name).title] = notes.get(name, "no animation has a value") if stage in ran else absent
    return reasons
