"""Presets of perception backends, and their expansion in job files."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from stages.backends.base import EMBEDDED, PEOPLE

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

COMMON = ("weights", "device", "allow_torchscript", "download")
"""Keys of these sections that may be set once for all, at the level of the verb."""


def expand(values: dict[str, Any]) -> None:
    """Expand `preset` and the common keys of each verb into its sections, in place.

    Keys set in a section take precedence.

    Args:
        values: contents of a job file, not yet validated.

    Raises:
        ValueError: an unknown preset.
    """
    for verb, sections in SECTIONS.items():
        settings = values.get(verb)
        if not isinstance(settings, dict):
            continue
        common = {key: settings.pop(key) for key in COMMON if key in settings}
        preset = _preset(f"{verb}.preset", settings.pop("preset", None))
        for section, signal in sections.items():
            own = settings.get(section, {})
            backend = {"backend": preset[signal]} if signal in preset else {}
            # A section that is no mapping is left to the validation of the whole file.
            if isinstance(own, dict) and (merged := {**common, **backend, **own}):
                settings[section] = merged
        if verb == "animate" and isinstance(settings.get("animate", {}), dict):
            shared = {key: common[key] for key in ("weights", "device") if key in common}
            if shared or "animate" in settings:
                settings["animate"] = {**shared, **settings.get("animate", {})}


def _preset(key: str, name: Any) -> Mapping[str, str]:
    """Signal -> backend of a preset; empty without one."""
    if name is None:
        return {}
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
    return PRESETS[name]
