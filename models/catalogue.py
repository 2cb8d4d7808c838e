"""Every published weight that the project can use: publisher, licence and files.

A digest that stands in an entry was published by whoever stores the file; a file of another digest is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from models.appearance import weights as appearance
from models.metrics import weights as metrics
from models.perception import weights as perception
from models.systems import SYSTEMS
from models.weights import base
from models.weights.entry import Weights

CATALOGUE: Mapping[str, Weights] = MappingProxyType(
    {
        weights.name: weights
        for weights in (
            *perception.WEIGHTS,
            *appearance.WEIGHTS,
            *metrics.WEIGHTS,
            *base.WEIGHTS,
            *(weights for system in SYSTEMS.values() for weights in system.weights),
        )
    }
)
"""By name."""


def entry(name: str) -> Weights:
    """The catalogue's entry.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in CATALOGUE:
        raise ValueError(f"no weights are named '{name}'; `zoetrope weights list` shows {len(CATALOGUE)}")
    return CATALOGUE[name]
