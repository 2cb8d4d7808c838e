"""Stage of the masks of the characters, for the measures of character and scenery."""

from __future__ import annotations

from typing import ClassVar

from stages.backends.base import BackendStage
from stages.backends.perception import CharacterMaskBackend
from stages.base import Row
from stages.prepare.character_mask import CharacterMaskConfig


class ComparedMasksStage(BackendStage[CharacterMaskConfig, CharacterMaskBackend]):
    """Masks of the character in both clips, `animation_mask` and `truth_mask`, (T, H, W) bool."""

    name = "masks"
    reads: ClassVar[frozenset[str]] = frozenset(
        {"animation_frames", "truth_frames", "animation_keypoints", "truth_keypoints"}
    )
    writes: ClassVar[frozenset[str]] = frozenset({"animation_mask", "truth_mask"})
    transient: ClassVar[frozenset[str]] = frozenset({"animation_mask", "truth_mask"})

    def process(self, row: Row) -> Row:
        """Masks of the row's pair."""
        return {
            f"{clip}_mask": self.backend.character_mask(row[f"{clip}_frames"], row[f"{clip}_keypoints"])
            for clip in ("animation", "truth")
        }
