"""Network configurations with changes, from recipes and from the records of training runs. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.engine import config as configuration
from jobs.engine.config import ConfigError
from models.animation.system import Model


def network_config(model: Model, changes: Mapping[str, Any]) -> Any:
    """Network configuration of a model with some fields replaced.

    Raises:
        ConfigError: a field is unknown, a value has the wrong type or range.
    """
    config = model.variant.config
    try:
        return configuration.validated(merged_over(configuration.resolved(config), changes), type(config))
    except ConfigError as error:
        raise ConfigError(f"model.network.{error}") from error


def merged_over(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `values` over `defaults`, recursively."""
    merged = {**defaults, **values}
    for key in defaults.keys() & values.keys():
        if isinstance(defaults[key], Mapping) and isinstance(values[key], Mapping):
            merged[key] = merged_over(defaults[key], values[key])
    return merged
