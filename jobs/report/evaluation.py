"""Report of `zoetrope evaluate`: measures by model, and animations beside their truth, worst first."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import duckdb
import numpy as np

from jobs.report.build import render_job
from jobs.report.measured import (
    AnimationRow,
    Evaluation,
    Heading,
    compare,
    heading,
    measured_model,
    not_computed,
    shown,
)
from jobs.report.sheets import ContactSheet, Image, frames_to_show, panel, thumbnail
from models.metrics.measures import MEASURES
from models.metrics.protocols import PROTOCOLS
from pipelines.engine.keys import pipeline_key, stage_keys
from pipelines.engine.ledger import Ledger
from pipelines.engine.tables import column_names
from pipelines.evaluation.tables import CSV, evaluation_tables
from stages.base import Row, Stage
from stages.outcome import BadRow, Rejected, Status

if TYPE_CHECKING:
    from jobs.engine.spec import JobEnd

log = logging.getLogger(__name__)

NUM_WORST = 8
NUM_MEDIAN = 2
NUM_BEST = 2
MAX_ROWS = 200
"""Maximum number of animations whose values are listed."""
MAX_TABLES = 40
"""Maximum number of models and settings on the page."""
DIFFERENCE_GAIN = 4
_FRAMES_STAGE = "frames"
_PAIR_URI = "concat_ws(', truth ', animation_uri, truth_uri)"
_SHEET_FACTS = ("psnr_db", "ssim", "lpips_disco", "pck", "face_cos", "flicker")


def evaluate_report(end: JobEnd) -> str:
    """HTML report of an `evaluate` job."""
    tables = evaluation_tables(end.ledger)
    notices: tuple[str, ...] = ()
    if len(tables) > MAX_TABLES:
        notices = (f"{len(tables) - MAX_TABLES} of {len(tables)} tables are not on this page; all are in {CSV}.",)
        tables = tables[:MAX_TABLES]
    protocol = PROTOCOLS.get(end.job.arguments.get("protocol") or "")
    with duckdb.connect() as connection:
        relation = _current(connection, end)
        headings = _measured_headings(connection, relation) if relation else ()
        animations, count = _animations(connection, relation, headings) if relation else ((), 0)
        chosen = _choose(connection, relation, _sorting(headings)) if relation else []
    sheets, unreadable = _sheets(end, chosen)
    evaluation = Evaluation(
        models=tuple(measured_model(table) for table in tables),
        comparison=compare(tables, protocol),
        protocol=protocol,
        not_computed=not_computed(tables, protocol, [step.stage.name for step in end.job.steps]),
        sorted_by=_sorting(headings),
        headings=headings,
        animations=animations,
        num_animations=count,
        sheets=sheets,
    )
    return render_job(end, noun="animations", evaluation=evaluation, notices=(*notices, *unreadable), uri=_PAIR_URI)


def _current(connection: duckdb.DuckDBPyConnection, end: JobEnd) -> str:
    """SQL of the rows that the tables are made of: those of the manifest, as its steps make them. Empty if none.

    Model and setting are the manifest's, which can change without a new measurement.
    """
    relation = end.ledger.relation(connection)
    if not relation:
        return ""
    connection.execute(f"CREATE TEMP TABLE named AS SELECT * FROM {end.job.manifest.relation(connection)}")  # noqa: S608
    key = pipeline_key(stage_keys([step.stage for step in end.job.steps]))
    return (
        "(SELECT l.* EXCLUDE (model, setting), n.model, n.setting "  # noqa: S608
        f"FROM {relation} l JOIN named n USING (animation_id) WHERE l.pipeline_key = '{key}')"
    )


def _measured_headings(connection: duckdb.DuckDBPyConnection, relation: str) -> tuple[Heading, ...]:
    """Measures of which at least one animation has a value."""
    columns = column_names(connection, relation)
    present = [name for name in MEASURES if name in columns]
    if not present:
        return ()
    counts = connection.execute(f"SELECT {', '.join(f'count({name})' for name in present)} FROM {relation}").fetchall()  # noqa: S608
    return tuple(heading(name) for name, count in zip(present, counts[0], strict=True) if count)


def _sorting(headings: tuple[Heading, ...]) -> Heading | None:
    """First measure that has a direction; `psnr_db` is the first of the registry."""
    return next((entry for entry in headings if entry.arrow), None)


def _order(sorting: Heading | None) -> str:
    """SQL order of animations, worst first."""
    if sorting is None:
        return "animation_id"
    return f"{sorting.name} {'ASC' if sorting.arrow == '↑' else 'DESC'} NULLS LAST, animation_id"


def _animations(
    connection: duckdb.DuckDBPyConnection, relation: str, headings: tuple[Heading, ...]
) -> tuple[tuple[AnimationRow, ...], int]:
    """Values of the worst animations, and the number of all that were compared."""
    columns = ", ".join(["animation_id", "model", "setting", *(entry.name for entry in headings)])
    query = f"SELECT {columns} FROM {relation} WHERE status = ? ORDER BY {_order(_sorting(headings))} LIMIT {MAX_ROWS}"  # noqa: S608
    rows = connection.execute(query, [Status.OK]).fetchall()
    count = connection.execute(f"SELECT count(*) FROM {relation} WHERE status = ?", [Status.OK]).fetchall()[0][0]  # noqa: S608
    animations = tuple(
        AnimationRow(
            animation_id=str(row[0]),
            model=str(row[1] or ""),
            setting=str(row[2] or ""),
            cells=tuple(shown(value) for value in row[3:]),
        )
        for row in rows
    )
    return animations, count


class _Chosen(NamedTuple):
    """An animation to show, and why: `worst`, `median` or `best`."""

    data_name: str
    animation_id: str
    model: str
    setting: str
    place: str


def _choose(connection: duckdb.DuckDBPyConnection, relation: str, sorting: Heading | None) -> list[_Chosen]:
    """Animations to show, the worst first."""
    where = f"status = ? {f'AND {sorting.name} IS NOT NULL' if sorting else ''}"
    total = connection.execute(f"SELECT count(*) FROM {relation} WHERE {where}", [Status.OK]).fetchall()[0][0]  # noqa: S608
    middle = max(0, total // 2 - NUM_MEDIAN // 2)
    places = dict.fromkeys(range(max(0, total - NUM_BEST), total), "best")
    places |= dict.fromkeys(range(middle, min(total, middle + NUM_MEDIAN)), "median")
    places |= dict.fromkeys(range(min(total, NUM_WORST)), "worst")
    columns = "filename, animation_id, model, setting"
    query = (
        f"SELECT {columns}, place FROM (SELECT {columns}, row_number() OVER (ORDER BY {_order(sorting)}) - 1 AS place "  # noqa: S608
        f"FROM {relation} WHERE {where}) WHERE list_contains(?, place) ORDER BY place"
    )
    rows = connection.execute(query, [Status.OK, list(places)]).fetchall()
    return [
        _Chosen(PurePosixPath(name).name, row_id, str(model), str(setting), places[place])
        for name, row_id, model, setting, place in rows
    ]


def _sheets(end: JobEnd, chosen: Sequence[_Chosen]) -> tuple[tuple[ContactSheet, ...], tuple[str, ...]]:
    """Pictures of the chosen animations, and a notice if some could not be decoded again."""
    stage = next((step.stage for step in end.job.steps if step.stage.name == _FRAMES_STAGE), None)
    if stage is None or not chosen:
        return (), ()
    stage.open()
    with closing(stage):
        sheets = [_sheet(end.ledger, stage, one) for one in chosen]
    num_unreadable = sheets.count(None)
    text = f"{num_unreadable} of the animations chosen for pictures could not be decoded again."
    return tuple(sheet for sheet in sheets if sheet is not None), (text,) if num_unreadable else ()


def _sheet(ledger: Ledger, stage: Stage[Any], chosen: _Chosen) -> ContactSheet | None:
    row = ledger.read_row(chosen.data_name, chosen.animation_id)
    if row is None:
        return None
    row |= {"model": chosen.model, "setting": chosen.setting}
    try:
        decoded = stage({**dict.fromkeys(stage.reads), **row})  # datasets of earlier versions lack columns
    except (BadRow, Rejected) as error:  # deleted or changed since
        log.warning("no pictures of animation %s: %s", chosen.animation_id, error)
        return None
    return comparison_sheet(row, decoded["animation_frames"], decoded["truth_frames"], place=chosen.place)


def comparison_sheet(row: Row, animation: Image, truth: Image, *, place: str) -> ContactSheet:
    """Frames of an animation, the true ones, and their difference, as columns of pictures.

    Args:
        row: columns of the dataset.
        animation, truth: (T, H, W, 3) uint8 RGB, of one size.
        place: `worst`, `median` or `best`.

    Raises:
        ValueError: the frames differ in number or size.
    """
    if animation.shape != truth.shape or animation.ndim != 4 or len(animation) == 0:
        raise ValueError(f"expected two clips (T, H, W, 3) of one shape, got {animation.shape} and {truth.shape}")
    height, width = animation.shape[1:3]
    landscape = width > 1.1 * height
    worst = row.get("worst_frame")
    indices = set(frames_to_show(len(animation), 2 if landscape else 3))
    if worst is not None and 0 <= worst < len(animation):
        indices.add(int(worst))
    pictures = [(animation[i], truth[i], _difference(animation[i], truth[i])) for i in sorted(indices)]
    labels = ("Animation", "Truth", f"Difference × {DIFFERENCE_GAIN}")
    return ContactSheet(
        clip_id=str(row["animation_id"]),
        uri=str(row.get("animation_uri") or ""),
        status=place,
        reason="",
        facts=_facts(row, sorted(indices), worst),
        panels=tuple(
            panel(label, [thumbnail(frame) for frame in frames])
            for label, frames in zip(labels, zip(*pictures, strict=True), strict=True)
        ),
        legend=(),
        landscape=landscape,
    )


def _difference(animation: Image, truth: Image) -> Image:
    difference: Image = cv2.convertScaleAbs(cv2.absdiff(animation, truth), alpha=DIFFERENCE_GAIN)
    return np.asarray(difference, np.uint8)


def _facts(row: Row, indices: list[int], worst: int | None) -> tuple[tuple[str, str], ...]:
    facts = [("model", str(row.get("model") or "")), ("setting", str(row.get("setting") or ""))]
    facts += [
        (f"{heading(name).title}", f"{shown(row[name])} {heading(name).unit}".strip())
        for name in _SHEET_FACTS
        if row.get(name) is not None
    ]
    shown_frames = ", ".join(f"{i} (worst)" if i == worst else str(i) for i in indices)
    facts += [("frames", str(row.get("num_frames") or "")), ("shown", shown_frames)]
    facts += [("size", str(row.get("size_rule") or ""))]
    return tuple((label, value) for label, value in facts if value)
