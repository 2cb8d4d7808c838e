"""Stage `agnostic_mask`: shape-agnostic masks (Animate Anyone 2)."""

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
    """Division of the character's box into blocks."""

    mode: Mode = "inference"
    """`inference`: blocks of about ten pixels, per frame. `training`: a random number of blocks, drawn per clip."""
    seed: int = 0
    """Seed of the `training` mode, combined with the clip id."""

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ValueError(f"mode must be one of {', '.join(get_args(Mode))}, got {self.mode!r}")


class AgnosticMaskStage(Stage[AgnosticMaskConfig]):
    """Expands the character mask to blocks that hide its outline."""

    name = "agnostic_mask"
    reads: ClassVar[frozenset[str]] = frozenset({"character_mask", "clip_id"})
    writes: ClassVar[frozenset[str]] = frozenset(
        {"agnostic_mask", "agnostic_blocks_h", "agnostic_blocks_w", "agnostic_seed"}
    )

    def process(self, row: Row) -> Row:
        """Computes the masks, the number of blocks and their seed; the last two are None in `inference` mode."""
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
    """Deterministic seed of a clip, 0 to 2^63 - 1."""
    digest = hashlib.sha256(f"{seed}:{clip_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
