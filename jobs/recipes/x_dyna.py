"""Recipe of X-Dyna (arXiv 2501.10021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.recipes.recipe import SystemRecipe


def _defaults(stage: int, network: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG001
    return {"sampling": {"height_px": 512, "width_px": 512, "num_frames": 16}}


RECIPE = SystemRecipe(defaults=_defaults)
