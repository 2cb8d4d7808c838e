"""The training side of a system that is not its network: recipe defaults, and the text of its card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.cards.animation import CardText

Defaults = Callable[[int, Mapping[str, Any]], Mapping[str, Any]]
"""Training stage and the network's configuration, as plain values, to the fields of `TrainingRecipe` that differ from
its defaults."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemRecipe:
    """`defaults`: the recipe. `card`: text of the card of a published checkpoint; None where none is published."""

    defaults: Defaults
    card: CardText | None = None
