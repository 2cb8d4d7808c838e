"""Masks and joint depths of prepared clips, for samples that set a character into its scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.depth.joint_depth import joint_depths
from models.depth.structured import CodedDepth, decode_depth
from models.masks.resize import resize_masks
from models.masks.rle import areas, decode, encode
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

    def select(self, indices: list[int]) -> ClipScene:
        """Select frames by index."""
        return ClipScene(
            references_T=self.references_T[indices],
            character_THW=self.character_THW[indices],
            objects_THW=self.objects_THW[indices],
            joint_depths_TK=self.joint_depths_TK[indices],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class CodedScene:
    """A compact scene of a whole clip, or of some frames: run-length codes, and depth that is decoded once.

    `objects`: codes of each object. `joint_depths_TK`: NaN until a frame of `depth` is decoded; `is_decoded_T`: whether
    it is. `keypoints_TK3`: in pixels of masks and depth.
    """

    references_T: NDArray[np.bool_]
    character: Codes
    objects: Sequence[Codes]
    depth: CodedDepth
    keypoints_TK3: NDArray[np.float32]
    joint_depths_TK: NDArray[np.float32]
    is_decoded_T: NDArray[np.bool_]

    @classmethod
    def of_row(cls, row: Row) -> CodedScene:
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
        keypoints = np.asarray(row["keypoints"], np.float32)
        return cls(
            references_T=areas(row["character_mask"]) >= MIN_REFERENCE_PX,
            character=row["character_mask"],
            objects=objects,
            depth=CodedDepth(png=row["depth_png"], minimum=row["depth_min"], maximum=row["depth_max"]),
            keypoints_TK3=keypoints,
            joint_depths_TK=np.full(keypoints.shape[:2], np.nan, np.float32),
            is_decoded_T=np.zeros(len(keypoints), np.bool_),
        )

    @classmethod
    def of_masks(
        cls,
        character_THW: NDArray[np.bool_],
        objects: Sequence[NDArray[np.bool_]],
        depth_THW: NDArray[np.float32],
        keypoints_TK3: NDArray[np.float32],
    ) -> CodedScene:
        """Scene of masks, depth (NaN where there is none) and keypoints, all of one size."""
        return cls(
            references_T=character_THW.sum(axis=(1, 2)) >= MIN_REFERENCE_PX,
            character=encode(character_THW),
            objects=[encode(masks) for masks in objects],
            depth=CodedDepth(png=[b""] * len(character_THW), minimum=0.0, maximum=0.0),
            keypoints_TK3=keypoints_TK3,
            joint_depths_TK=_own_joint_depths(character_THW, depth_THW, keypoints_TK3),
            is_decoded_T=np.ones(len(character_THW), np.bool_),
        )

    def select(self, indices: Sequence[int]) -> CodedScene:
        """Select frames by index, with their depth decoded.

        Raises:
            ValueError: a mask or a depth frame is damaged, or they differ in size.
        """
        missing = [t for t in dict.fromkeys(indices) if not self.is_decoded_T[t]]
        if missing:
            depth = decode_depth(
                [self.depth.png[t] for t in missing], minimum=self.depth.minimum, maximum=self.depth.maximum
            )
            character = decode([self.character[t] for t in missing])
            self.joint_depths_TK[missing] = _own_joint_depths(character, depth, self.keypoints_TK3[missing])
            self.is_decoded_T[missing] = True
        rows = list(indices)
        return CodedScene(
            references_T=self.references_T[rows],
            character=[self.character[t] for t in rows],
            objects=[[codes[t] for t in rows] for codes in self.objects],
            depth=replace(self.depth, png=[self.depth.png[t] for t in rows]),
            keypoints_TK3=self.keypoints_TK3[rows],
            joint_depths_TK=self.joint_depths_TK[rows],
            is_decoded_T=self.is_decoded_T[rows],
        )

    def at(self, size_px: tuple[int, int]) -> ClipScene:
        """The decoded scene with masks of a (height, width).

        Raises:
            ValueError: as for `select`.
        """
        character = decode(self.character)
        objects = [decode(codes) for codes in self.objects]
        union = np.logical_or.reduce(objects) if objects else np.zeros_like(character)
        return ClipScene(
            references_T=self.references_T,
            character_THW=resize_masks(character, size_px),
            objects_THW=resize_masks(union, size_px),
            joint_depths_TK=self.select(range(len(self.character))).joint_depths_TK,
        )


def _own_joint_depths(
    character_THW: NDArray[np.bool_], depth_THW: NDArray[np.float32], keypoints_TK3: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Joint depths of the character's own pixels: beside a limb, and before it, is the depth of something else."""
    if character_THW.shape != depth_THW.shape:
        raise ValueError(f"masks and depth must have one size, got {character_THW.shape} and {depth_THW.shape}")
    return joint_depths(np.where(character_THW, depth_THW, np.float32(np.nan)), keypoints_TK3)
