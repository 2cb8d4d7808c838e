"""Stage `character_mask`: mask of the character in each frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from models.masks.rle import encode
from stages.backends.base import PEOPLE, BackendConfig, BackendStage
from stages.backends.perception import CHARACTER_MASK, CharacterMaskBackend
from stages.base import Row


@dataclass(frozen=True, kw_only=True, slots=True)
class CharacterMaskConfig(BackendConfig):
    """`backend`: embedded, people, sam2 (through transformers) or sam2-official (through its publisher's package)."""

    backend: str = PEOPLE
    signal: ClassVar = "character mask"
    backends: ClassVar = CHARACTER_MASK


class CharacterMaskStage(BackendStage[CharacterMaskConfig, CharacterMaskBackend]):
    """Segments the character; one COCO run-length code per frame, at the working size."""

    name = "character_mask"
    reads = frozenset({"frames", "keypoints"})
    writes = frozenset({"character_mask"})

    def process(self, row: Row) -> Row:
        """Computes `character_mask`."""
        return {"character_mask": encode(self.backend.character_mask(row["frames"], row["keypoints"]))}
