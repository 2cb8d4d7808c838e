"""Measures of a published checkpoint on held-out puppets, for its card and for the README.

`zoetrope evaluate cards` stores them beside the checkpoint, with its digest: measures of other weights are not shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jobs.cards.tables import table
from jobs.report.measured import shown
from models.common.digest import file_digest
from models.metrics.measures import MEASURES, SET_MEASURES
from pipelines.evaluation.tables import MeasuredValue, ModelTable

STORED = "measures.json"
README_MEASURES = ("psnr_db", "ssim", "pck", "face_exp", "flicker")
_SETTING = "task="
_TASKS = {
    "figures": "a whole human, by a human elsewhere in the frame",
    "creatures": "a character that is not human, by a human",
    "portraits": "a talking character before scenery that moves by itself",
    "scenes": "a human takes the place of the one in a video, with its scene and objects",
}
_ARROWS = {"higher": "↑", "lower": "↓", "truth": "="}


def store_measures(checkpoint: Path, tables: Sequence[ModelTable]) -> None:
    """Write `measures.json` beside a checkpoint: its tables, one per task."""
    stored = {"checkpoint": file_digest(checkpoint), "tables": [asdict(each) for each in tables]}
    checkpoint.with_name(STORED).write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


def stored_measures(checkpoint: Path) -> tuple[ModelTable, ...]:
    """The tables beside a checkpoint; empty if there are none, or if they are of other weights."""
    path = checkpoint.with_name(STORED)
    if not path.is_file():
        return ()
    stored: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if stored["checkpoint"] != file_digest(checkpoint):
        return ()
    return tuple(
        ModelTable(**{**each, "values": tuple(MeasuredValue(**value) for value in each["values"])})
        for each in stored["tables"]
    )


def measures_section(checkpoint: Path, *, ships: bool) -> str:
    """Markdown section of a card; empty if there are no measures of these weights.

    `ships`: whether the card lies in the project, so that it can link the definitions.
    """
    tables = stored_measures(checkpoint)
    if not tables:
        return ""
    names = list(dict.fromkeys(value.name for each in tables for value in each.values))
    rows = [(_title(name), *(_cell(each, name, interval=True) for each in tables)) for name in names]
    definitions = "[definitions](../../../../docs/evaluate.md#measures)" if ships else "definitions: docs/evaluate.md"
    tasks = "\n".join(f"- *{task_of(each)}*: {_TASKS.get(task_of(each), '')}" for each in tables)
    counts = ", ".join(f"{task_of(each)} {each.ok} of {each.ok + each.rejected + each.failed}" for each in tables)
    return f"""## Measures

Held-out puppets as `zoetrope evaluate draw` draws them, animated by `zoetrope animate` with detected keypoints and
compared with their true videos by `zoetrope evaluate` ({definitions}).
Animations measured: {counts}. In brackets the 95 % interval of the mean over animations; "true": the value of the true
frames.

{tasks}

{table(("measure", *(task_of(each) for each in tables)), rows)}
"""


def readme_table(tables: Sequence[ModelTable]) -> str:
    """Markdown table of all models, one row per task and model."""
    rows = [
        (task_of(each), f"`{each.model}`", *(_cell(each, name, interval=False) for name in README_MEASURES))
        for each in sorted(tables, key=lambda each: (list(_TASKS).index(task_of(each)), each.model))
    ]
    return table(("task", "model", *(_title(name) for name in README_MEASURES)), rows)


def task_of(each: ModelTable) -> str:
    """Task of a table that was grouped by the column `task`."""
    return each.setting.removeprefix(_SETTING)


def is_of_a_task(each: ModelTable) -> bool:
    """Whether a table was grouped by the column `task` alone."""
    return each.setting.startswith(_SETTING) and task_of(each) in _TASKS


def _title(name: str) -> str:
    if name in SET_MEASURES:
        return f"{SET_MEASURES[name].title} ↓"
    measure = MEASURES[name]
    unit = f", {measure.unit}" if measure.unit else ""
    return f"{measure.title}{unit} {_ARROWS[measure.better]}"


def _cell(each: ModelTable, name: str, *, interval: bool) -> str:
    value = next((value for value in each.values if value.name == name), None)
    if value is None or value.value is None:
        return "–"
    text = shown(value.value)
    if interval and value.ci_low is not None and value.ci_high is not None:
        text += f" [{shown(value.ci_low)}, {shown(value.ci_high)}]"
    if value.truth_value is not None:
        text += f" (true {shown(value.truth_value)})"
    return text
