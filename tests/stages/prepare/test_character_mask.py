from __future__ import annotations

import numpy as np
import pytest

from models.masks.rle import decode
from models.puppets import render, sample_spec
from pipelines.engine.keys import described
from stages.backends.base import EMBEDDED
from stages.prepare.character_mask import CharacterMaskConfig, CharacterMaskStage


def test_mask_of_a_puppet_clip_in_run_lengths() -> None:
    puppets = list(
        render(sample_spec(2_000_001, split="heldout", size_px=(192, 144), num_shots=1), fps=8, num_frames=3)
    )
    stage = CharacterMaskStage(CharacterMaskConfig(backend=EMBEDDED))
    stage.open()
    row = {
        "frames": np.stack([puppet.rgb for puppet in puppets]),
        "keypoints": np.stack([puppet.keypoints for puppet in puppets]),
    }
    codes = stage(row)["character_mask"]
    assert [code["size"] for code in codes] == [[192, 144]] * 3
    truth = np.stack([puppet.character_mask for puppet in puppets])
    masks = decode(codes)
    assert (masks & truth).sum() / (masks | truth).sum() > 0.8


def test_weights_and_backends() -> None:
    assert list(CharacterMaskStage(CharacterMaskConfig(backend=EMBEDDED)).weights()) == ["embedded-character-mask"]
    with pytest.raises(ValueError, match="unknown character mask backend 'xmem'"):
        CharacterMaskConfig(backend="xmem")


def test_masks_of_people_made_before_edges_were_refined_are_stale() -> None:
    assert described(CharacterMaskConfig(backend="people"))["backend_version"] == 2
    assert described(CharacterMaskConfig(backend="embedded")) == {"backend": "embedded"}
