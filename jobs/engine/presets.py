"""Presets of perception backends, the folders of trained networks, and their expansion in job files."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from jobs.engine.locations import is_place, location
from stages.backends.base import EMBEDDED, PEOPLE, Backend
from stages.backends.perception import CHARACTER_MASK, DEPTH, OBJECT_MASKS, POSE
from stages.backends.trained import holds
from stages.prepare.features import CLIP_BACKENDS, VAE_BACKENDS

log = logging.getLogger(__name__)

PRESETS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "people": {"pose": PEOPLE, "depth": PEOPLE, "masks": PEOPLE, "objects": EMBEDDED},
        "puppets": {"pose": EMBEDDED, "depth": EMBEDDED, "masks": EMBEDDED, "objects": EMBEDDED},
        "dwpose-sam2": {"pose": "dwpose", "depth": "depth-anything", "masks": "sam2", "objects": "sam2"},
        "rtmw-sam3": {"pose": "rtmw", "depth": "depth-anything", "masks": "sam3", "objects": "sam3"},
        "sapiens-sam2": {"pose": "sapiens", "depth": "sapiens", "masks": "sam2", "objects": "sam2"},
        "sapiens2-depthanything-sam2": {
            "pose": "sapiens2",
            "depth": "depth-anything",
            "masks": "sam2",
            "objects": "sam2",
        },
    }
)
"""Preset -> signal -> backend. Without one, the defaults of the sections apply, which are those of `people`."""

FORMER_PRESETS: Mapping[str, str] = MappingProxyType({"embedded": "puppets"})
"""Names of earlier releases, accepted for one release with a warning."""

SECTIONS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "prepare": {
            "pose": "pose",
            "depth": "depth",
            "character_mask": "masks",
            "object_masks": "objects",
            "clip_embeddings": "features",
            "vae_latents": "features",
        },
        "animate": {
            "reference_pose": "pose",
            "driving_pose": "pose",
            "driving_mask": "masks",
            "driving_objects": "objects",
            "driving_depth": "depth",
            "reference_mask": "masks",
        },
        "evaluate": {
            "keypoints": "pose",
            "masks": "masks",
            **dict.fromkeys(("lpips", "faces", "subject", "background"), "measures"),
            **dict.fromkeys(("fid", "fid_vid", "fvd", "cd_fvd", "dtfvd"), "measures"),
        },
    }
)
"""Verb -> section with a backend -> signal. Presets do not set the backends of features and measures."""

_BACKENDS: Mapping[str, Mapping[str, Backend[Any]]] = MappingProxyType(
    {"pose": POSE, "depth": DEPTH, "masks": CHARACTER_MASK, "objects": OBJECT_MASKS}
)
"""Signal of a preset -> its backends."""
_MODELS = frozenset(
    model
    for backends in [*_BACKENDS.values(), CLIP_BACKENDS, VAE_BACKENDS]
    for backend in backends.values()
    for model in backend.models
)
"""Names of models, which are no folders, whatever the working directory holds."""

COMMON = ("weights", "device", "allow_torchscript", "download")
"""Keys of these sections that may be set once for all, at the level of the verb."""


def expand(values: dict[str, Any]) -> None:
    """Expand `preset` and the common keys of each verb into its sections, in place.

    Keys set in a section take precedence. A place of trained networks, as a preset or a section's model, becomes
    absolute and stands for the backend `embedded`.

    Args:
        values: contents of a job file, not yet validated.

    Raises:
        ValueError: an unknown preset, or a folder without networks.
    """
    for verb, sections in SECTIONS.items():
        settings = values.get(verb)
        if not isinstance(settings, dict):
            continue
        common = {key: settings.pop(key) for key in COMMON if key in settings}
        preset = _preset(f"{verb}.preset", settings.pop("preset", None))
        for section, signal in sections.items():
            own = settings.get(section, {})
            # A section that is no mapping is left to the validation of the whole file.
            if not isinstance(own, dict):
                continue
            own = _with_place(own)
            backend = {} if "backend" in own else preset.get(signal, {})
            if merged := {**common, **backend, **own}:
                settings[section] = merged
        if verb == "animate" and isinstance(settings.get("animate", {}), dict):
            shared = {key: common[key] for key in ("weights", "device") if key in common}
            if shared or "animate" in settings:
                settings["animate"] = {**shared, **settings.get("animate", {})}


def _with_place(section: dict[str, Any]) -> dict[str, Any]:
    """Settings of a section, with an absolute place of a trained network and the backend that takes it."""
    model = section.get("model")
    if not isinstance(model, str) or not is_place(model, _MODELS):
        return section
    return {"backend": EMBEDDED, **section, "model": location(model)}


def _preset(key: str, name: Any) -> Mapping[str, Mapping[str, str]]:
    """Signal -> settings of a preset or of a folder; empty without one."""
    if name is None:
        return {}
    if isinstance(name, str) and is_place(name, {*PRESETS, *FORMER_PRESETS}):
        return _trained(key, location(name))
    if isinstance(name, str) and name in FORMER_PRESETS:
        log.warning(
            "%s: the preset %s is now called %s; the former name is accepted in this release only",
            *(key, name, FORMER_PRESETS[name]),
        )
        name = FORMER_PRESETS[name]
    if not isinstance(name, str) or name not in PRESETS:
        close = difflib.get_close_matches(str(name), PRESETS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(PRESETS)}"
        raise ValueError(f"{key}: no preset is named {name!r}; {hint}")
    return {signal: {"backend": backend} for signal, backend in PRESETS[name].items()}


def _trained(key: str, folder: str) -> Mapping[str, Mapping[str, str]]:
    """Signal -> settings, with the networks of a folder and the included ones in place of those that it lacks."""
    settings = {}
    for signal, backends in _BACKENDS.items():
        included = backends[EMBEDDED].included
        assert included is not None  # of every backend of this name
        settings[signal] = {"backend": EMBEDDED} | ({"model": folder} if holds(folder, included) else {})
    if not any("model" in each for each in settings.values()):
        raise ValueError(
            f"{key}: {folder} holds no perception networks, expected the folder to which `zoetrope train perception` "
            f"wrote, or one of {', '.join(PRESETS)}"
        )
    return settings
