from __future__ import annotations

import re
from pathlib import Path

from models.metrics.measures import MEASURES, SET_MEASURES

PAGE = Path(__file__).resolve().parents[3] / "docs" / "evaluate.md"
ARROWS = {"higher": "↑", "lower": "↓", "truth": "≈"}


def test_the_page_lists_all_measures() -> None:
    text = PAGE.read_text()
    section = text.split("## Measures\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| (.) \|", section, re.MULTILINE)
    assert rows == [(measure.name, measure.title, ARROWS[measure.better]) for measure in MEASURES.values()]
    named = re.findall(r"^\| ([^|`]+) \| [^|]+ \| / (\(n - 1\)|n) \|", section, re.MULTILINE)
    ddof = {title: int(divisor != "n") for titles, divisor in named for title in titles.split(", ")}
    assert ddof == {measure.title: measure.ddof for measure in SET_MEASURES.values()}
