"""Random draws of a sample in which a character is set into its scene (Animate Anyone 2, arXiv 2502.06145)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.masks.agnostic import Blocks, agnostic_masks, draw_blocks
from models.training.recipe import SceneMask, SceneSamplingConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneSpec:
    """Draws of one sample.

    `scale`: of the character and its objects, at least 1. `known_frames`: number of first targets that are given whole.
    `blocks_seed`: seed of the numbers of blocks (`draw_blocks`); None: the rule of inference. `background_seed`: seed
    of the reference's background.
    """

    scale: float = 1.0
    known_frames: int = 0
    blocks_seed: int | None = None
    background_seed: int = 0


def scene_spec(num_frames: int, config: SceneSamplingConfig, rng: np.random.Generator) -> SceneSpec:
    """Draw at random for `num_frames` targets, at least one of which is not known."""
    is_scaled, has_known = rng.uniform(size=2) < (config.scale_share, config.known_share)
    scale = float(rng.uniform(1.0, config.max_scale))
    blocks_seed, background_seed = rng.integers(2**63, size=2).tolist()
    return SceneSpec(
        scale=scale if is_scaled else 1.0,
        known_frames=min(config.known_frames, num_frames - 1) if has_known else 0,
        blocks_seed=blocks_seed,
        background_seed=background_seed,
    )


def masks_without_scene(character_THW: NDArray[np.bool_], rule: SceneMask, spec: SceneSpec) -> NDArray[np.bool_]:
    """Areas (T, H, W) in which a network does not see the scene, of the character's masks; empty in known frames."""
    if rule == "exact":
        masks = character_THW.copy()
    elif rule == "box":
        masks = agnostic_masks(character_THW, Blocks(1, 1))
    else:
        blocks = None if spec.blocks_seed is None else draw_blocks(character_THW, spec.blocks_seed)
        masks = agnostic_masks(character_THW, blocks)
    masks[: spec.known_frames] = False
    return masks
