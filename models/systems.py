"""The animation systems, and their models by name. Imports no torch."""

from __future__ import annotations

import difflib

from models.animate_anyone.system import SYSTEM as ANIMATE_ANYONE
from models.animate_anyone_2.system import SYSTEM as ANIMATE_ANYONE_2
from models.animate_x.system import SYSTEM as ANIMATE_X
from models.animation.system import Model, System
from models.puppet_models.animate_anyone.system import SYSTEM as ANIMATE_ANYONE_PUPPETS
from models.puppet_models.animate_anyone_2.system import SYSTEM as ANIMATE_ANYONE_2_PUPPETS
from models.puppet_models.animate_x.system import SYSTEM as ANIMATE_X_PUPPETS
from models.puppet_models.x_dyna.system import SYSTEM as X_DYNA_PUPPETS
from models.x_dyna.system import SYSTEM as X_DYNA

SYSTEMS: dict[str, System] = {
    system.name: system
    for system in (
        ANIMATE_ANYONE,
        ANIMATE_ANYONE_2,
        ANIMATE_X,
        X_DYNA,
        ANIMATE_ANYONE_PUPPETS,
        ANIMATE_ANYONE_2_PUPPETS,
        ANIMATE_X_PUPPETS,
        X_DYNA_PUPPETS,
    )
}
"""By name. A new system is one line here."""

DEFAULT_MODEL = "animate-anyone-puppets"

FORMER_NAMES = {"moore-animate-anyone": "animate-anyone", "animate-x-embedded": "animate-x-puppets"}
"""Names of earlier releases, accepted for one release with a warning."""


class UnknownModelError(ValueError):
    """No model has this name; the message names a close one, or all."""


def model_names() -> list[str]:
    """Names of all models, system by system."""
    return [name for system in SYSTEMS.values() for name in system.variants]


def find_model(name: str) -> Model:
    """The model of this name, or of this former name.

    Raises:
        UnknownModelError: there is none.
    """
    name = FORMER_NAMES.get(name, name)
    for system in SYSTEMS.values():
        if name in system.variants:
            return system.model(name)
    close = difflib.get_close_matches(name, model_names(), n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(model_names()))}"
    raise UnknownModelError(f"no model is called {name[:60]!r}; {hint}")


def shipped_models(*, keeps_scene: bool = False, reads_face: bool = False) -> list[str]:
    """Names of the embedded models that do, or do not, keep the driving video's scene and read the driving face."""
    variants = {
        name: variant for system in SYSTEMS.values() for name, variant in system.variants.items() if variant.ships
    }
    wanted = keeps_scene, reads_face
    return [name for name, variant in variants.items() if (variant.keeps_scene, variant.reads_face) == wanted]


def former_name_notice(name: str) -> str | None:
    """A warning where `name` is a former name."""
    if name not in FORMER_NAMES:
        return None
    return f"the model {name} is now called {FORMER_NAMES[name]}; the former name is accepted in this release only"
