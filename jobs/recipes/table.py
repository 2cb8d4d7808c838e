"""The recipe of every animation system."""

from __future__ import annotations

from jobs.recipes import (
    animate_anyone,
    animate_anyone_2,
    animate_anyone_2_puppets,
    animate_anyone_puppets,
    animate_x,
    animate_x_puppets,
    x_dyna,
)
from jobs.recipes.recipe import SystemRecipe

RECIPES: dict[str, SystemRecipe] = {
    "animate-anyone": animate_anyone.RECIPE,
    "animate-anyone-2": animate_anyone_2.RECIPE,
    "animate-x": animate_x.RECIPE,
    "x-dyna": x_dyna.RECIPE,
    "animate-anyone-puppets": animate_anyone_puppets.RECIPE,
    "animate-anyone-2-puppets": animate_anyone_2_puppets.RECIPE,
    "animate-x-puppets": animate_x_puppets.RECIPE,
}
"""By the system's name. A new system is one line here."""
