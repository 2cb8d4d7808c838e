"""Presets of perception backends, and their expansion in job files."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

PRESETS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "embedded": {"pose": "embedded", "depth": "embedded", "masks": "embedded", "objects": "embedded"},
        "people": {"pose": "people", "depth": "people", "masks": "people", "objects": "embedded"},
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
"""Preset -> signal -> backend."""

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
        name = settings.pop("preset", None)
        if name is not None and (not isinstance(name, str) or name not in PRESETS):
            close = difflib.get_close_matches(str(name), PRESETS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(PRESETS)}"
            raise ValueError(f"{verb}.preset: no preset is named {name!r}; {hint}")
        for section, signal in sections.items():
            own = settings.get(section, {})
            preset = PRESETS[name] if name is not None else {}
            backend = {"backend": preset[signal]} if signal in preset else {}
            # A section that is no mapping is left to the validation of the whole file.
            if isinstance(own, dict) and (merged := {**common, **backend, **own}):
                settings[section] = merged
        if verb == "animate" and isinstance(settings.get("animate", {}), dict):
            shared = {key: common[key] for key in ("weights", "device") if key in common}
            if shared or "animate" in settings:
                settings["animate"] = {**shared, **settings.get("animate", {})}
