"""Files of the perception networks that ship with the project. Imports no torch: planning reads them."""

from __future__ import annotations

from pathlib import Path

PUPPETS_ONLY_NOTICE = (
    "The embedded perception networks are trained on drawn puppets only: their keypoints, depth and masks of real "
    "people, animals or photographs are unreliable."
)
"""Notice of jobs with the preset `puppets`."""

OBJECTS_NOTICE = (
    "Objects were masked by the embedded network, which is trained on drawn puppets only; for real ones, choose "
    "--set prepare.object_masks.backend=sam2."
)
"""Notice of `prepare` where no other network is embedded, and objects are prompted."""

CHECKPOINTS = Path(__file__).parent / "checkpoints"
FIGURE_CHECKPOINT = CHECKPOINTS / "figure.safetensors"
"""Keypoints, depth and character mask: one network, three heads."""
OBJECT_CHECKPOINT = CHECKPOINTS / "object.safetensors"
"""Mask of the object at a box or at points."""
FACE_CHECKPOINT = CHECKPOINTS / "face.safetensors"
"""Landmarks of the face, for scores only."""
