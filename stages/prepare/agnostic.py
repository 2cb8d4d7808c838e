"""Shape-agnostic masks (Animate Anyone 2), with the random blocks of training recorded in the row."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from models.masks import rle
from models.masks.agnostic import agnostic_masks, draw_blocks
from stages.base import Row, Stage

Mode = Literal["inference", "training"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AgnosticMaskConfig:
    """Which blocks the character's box is divided into."""

    mode: Mode = "inference"
    """`inference`: about ten pixels each, in every frame. `training`: their number is drawn once for each clip."""
    seed: int = 0
    """With the clip's id, decides what `training` draws."""

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ValueError(f"mode must be one of {', '.join(get_args(Mode))}, got {self.mode!r}")


class AgnosticMaskStage(Stage[AgnosticMaskConfig]):
    """Hides the outline of the character mask in blocks."""

    name = "agnostic_mask"
    reads: ClassVar[frozenset[str]] = frozenset({"character_mask", "clip_id"})
    writes: ClassVar[frozenset[str]] = frozenset(
        {"agnostic_mask", "agnostic_blocks_h", "agnostic_blocks_w", "agnostic_seed"}
    )

    def process(self, row: Row) -> Row:
        """The masks; the numbers of blocks and the seed they were drawn with are None under the inference rule."""
        masks = rle.decode(row["character_mask"])
        if self.config.mode == "inference":
            blocks, seed = None, None
        else:
            seed = clip_seed(self.config.seed, row["clip_id"])
            blocks = draw_blocks(masks, seed)
        return {
            "agnostic_mask": rle.encode(agnostic_masks(masks, blocks)),
            "agnostic_blocks_h": blocks and blocks.high,
            "agnostic_blocks_w": blocks and blocks.wide,
            "agnostic_seed": seed,
        }


def clip_seed(seed: int, clip_id: str) -> int:
    """A seed of the clip's own, the same in every process and on every machine; fits a signed 64-bit column."""
    digest = hashlib.sha256(f"{seed}:{clip_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
