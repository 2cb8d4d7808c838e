"""Check of the licences of all weights of a job before anything starts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from models.animation.system import Model
from models.catalogue import entry
from models.weights.entry import Weights
from models.weights.licence import TRAINING_DATA
from stages.backends.base import BackendConfig

LicenceCheck = Literal["any", "commercial"]


class LicenceError(ValueError):
    """Weights whose licence does not allow what the job is for."""


def check_licences(
    check: LicenceCheck,
    *,
    networks: Iterable[BackendConfig] = (),
    models: Iterable[Model] = (),
    weights: Iterable[Weights] = (),
) -> list[str]:
    """With `check` "commercial", refuse weights that may not be used commercially, or whose licence does not say.

    The user's own trained weights pass; `weights` holds what they were trained from. Returns a notice of each licence
    that allows commercial use and forbids other uses.

    Args:
        networks: perception networks and measures of the job.
        models: its animation models.
        weights: further weights.

    Raises:
        LicenceError: some may not be used. The message names all of them.
    """
    if check == "any":
        return []
    used = [entry(name) for network in networks for name in network.parts]
    used += [part for model in models for part in model.weights]
    used += weights
    refused = {
        part.name: f"{part.name} ({part.licence.name})"
        for part in used
        if not part.licence.commercial_use and part.licence != TRAINING_DATA
    }
    if refused:
        raise LicenceError(
            f"--licence-check commercial: the licences of {', '.join(refused.values())} do not allow commercial use; "
            "choose other networks or models, as in docs/people.md, or leave out the check"
        )
    return [
        f"{licence.name} ({', '.join(sorted({part.name for part in used if part.licence == licence}))}) forbids: "
        + ", ".join(licence.restrictions)
        for licence in dict.fromkeys(part.licence for part in used)
        if licence.restrictions
    ]
