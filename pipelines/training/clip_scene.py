"""Masks and joint depths of prepared clips, for samples that set a character into its scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.depth.joint_depth import joint_depths
from models.depth.structured import decode_depth
from models.masks.resize import resize_masks
from models.masks.rle import areas, decode
from stages.base import Row

MIN_REFERENCE_PX = 64
"""Least area of a character, in pixels of its mask, for a frame to be a reference."""

Codes = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipScene:
    """Masks and joint depths of a whole clip, or of one sample (reference first).

    `references_T`: frames that show enough of the character for a reference.
    `character_THW`, `objects_THW`: bool. `joint_depths_TK`: float32 (T, 133), NaN where unknown.
    """

    references_T: NDArray[np.bool_]
    character_THW: NDArray[np.bool_]
    objects_THW: NDArray[np.bool_]
    joint_depths_TK: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        character_THW: NDArray[np.bool_],
        objects: Sequence[NDArray[np.bool_]],
        depth_THW: NDArray[np.float32],
        keypoints_TK3: NDArray[np.float32],
    ) -> ClipScene:
        """Scene of masks, depth (NaN where there is none) and keypoints, all of one size."""
        union = np.logical_or.reduce(objects) if len(objects) else np.zeros_like(character_THW)
        # Beside a limb, and before it, is the depth of something else.
        own_depth = np.where(character_THW, depth_THW, np.float32(np.nan))
        return cls(
            references_T=character_THW.sum(axis=(1, 2)) >= MIN_REFERENCE_PX,
            character_THW=character_THW,
            objects_THW=union,
            joint_depths_TK=joint_depths(own_depth, keypoints_TK3),
        )

    def select(self, indices: list[int]) -> ClipScene:
        """Select frames by index."""
        return ClipScene(
            references_T=self.references_T[indices],
            character_THW=self.character_THW[indices],
            objects_THW=self.objects_THW[indices],
            joint_depths_TK=self.joint_depths_TK[indices],
        )

    def at(self, size_px: tuple[int, int]) -> ClipScene:
        """The same scene with masks of another (height, width)."""
        return ClipScene(
            references_T=self.references_T,
            character_THW=resize_masks(self.character_THW, size_px),
            objects_THW=resize_masks(self.objects_THW, size_px),
            joint_depths_TK=self.joint_depths_TK,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class CodedScene:
    """A scene as stored in a row, of which only the selected frames are decoded.

    `keypoints_TK3`: in pixels of masks and depth.
    """

    references_T: NDArray[np.bool_]
    character: Codes
    objects: Sequence[Codes]
    depth_png: Sequence[bytes]
    depth_range: tuple[float, float]
    keypoints_TK3: NDArray[np.float32]

    @classmethod
    def of(cls, row: Row) -> CodedScene:
        """Scene of a row with masks, depth and keypoints.

        Raises:
            ValueError: a column has no value, or does not have one entry per frame, or a mask is damaged.
        """
        if empty := [name for name in ("character_mask", "object_masks", "depth_png") if row[name] is None]:
            raise ValueError(f"its row has no {', '.join(empty)}; prepare it with masks and depth")
        objects = [each["masks"] for each in row["object_masks"]]
        lengths = {len(part) for part in (row["character_mask"], row["depth_png"], row["keypoints"], *objects)}
        if len(lengths) > 1:
            raise ValueError(f"masks, depth and keypoints must have equal numbers of frames, got {sorted(lengths)}")
        return cls(
            references_T=areas(row["character_mask"]) >= MIN_REFERENCE_PX,
            character=row["character_mask"],
            objects=objects,
            depth_png=row["depth_png"],
            depth_range=(row["depth_min"], row["depth_max"]),
            keypoints_TK3=np.asarray(row["keypoints"], np.float32),
        )

    def select(self, indices: list[int]) -> CodedScene:
        """Select frames by index."""
        return CodedScene(
            references_T=self.references_T[indices],
            character=[self.character[t] for t in indices],
            objects=[[codes[t] for t in indices] for codes in self.objects],
            depth_png=[self.depth_png[t] for t in indices],
            depth_range=self.depth_range,
            keypoints_TK3=self.keypoints_TK3[indices],
        )

    def at(self, size_px: tuple[int, int]) -> ClipScene:
        """The decoded scene with masks of a (height, width).

        Raises:
            ValueError: a mask or a depth frame is damaged, or they differ in size.
        """
        minimum, maximum = self.depth_range
        depth = decode_depth(self.depth_png, minimum=minimum, maximum=maximum)
        character = decode(self.character)
        if character.shape != depth.shape:
            raise ValueError(f"masks and depth must have one size, got {character.shape} and {depth.shape}")
        objects = [decode(codes) for codes in self.objects]
        return ClipScene.of(character, objects, depth, self.keypoints_TK3).at(size_px)
