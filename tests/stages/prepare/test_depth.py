from __future__ import annotations

import numpy as np
import pytest

from models.puppets import render, sample_spec
from stages.backends.base import EMBEDDED
from stages.prepare.depth import DepthConfig, DepthStage


def test_depth_of_a_puppet_clip_is_near_on_the_character() -> None:
    puppets = list(
        render(sample_spec(2_000_001, split="heldout", size_px=(192, 144), num_shots=1), fps=8, num_frames=3)
    )
    stage = DepthStage(DepthConfig(backend=EMBEDDED))
    stage.open()
    depth = stage({"frames": np.stack([puppet.rgb for puppet in puppets])})["depth"]
    assert depth.shape == (3, 192, 144)
    assert depth.dtype == np.float32
    for estimate, puppet in zip(depth, puppets, strict=True):
        assert (
            np.median(estimate[puppet.character_mask]) < np.median(estimate[puppet.depth == puppet.depth.max()]) - 0.5
        )


def test_depth_lives_in_memory_only() -> None:
    assert DepthStage.transient == DepthStage.writes == {"depth"}
    assert list(DepthStage(DepthConfig(backend=EMBEDDED)).weights()) == ["embedded-depth"]


def test_unknown_backend_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown depth backend 'midas'"):
        DepthConfig(backend="midas")
