import subprocess
import sys

import numpy as np
import pytest

from models.masks import rle
from models.masks.agnostic import Blocks, agnostic_masks
from stages.prepare.agnostic import AgnosticMaskConfig, AgnosticMaskStage, clip_seed


@pytest.fixture
def masks():
    y, x = np.mgrid[:90, :70]
    return np.stack([(x - 30 - t) ** 2 / 400 + (y - 45) ** 2 / 1600 < 1 for t in range(4)])


def test_inference_rule_draws_nothing(masks):
    row = AgnosticMaskStage(AgnosticMaskConfig())({"clip_id": "a", "character_mask": rle.encode(masks)})
    assert np.array_equal(rle.decode(row["agnostic_mask"]), agnostic_masks(masks))
    assert (row["agnostic_blocks_h"], row["agnostic_blocks_w"], row["agnostic_seed"]) == (None, None, None)


def test_training_records_what_it_drew(masks):
    stage = AgnosticMaskStage(AgnosticMaskConfig(mode="training", seed=5))
    row = stage({"clip_id": "a", "character_mask": rle.encode(masks)})
    blocks = Blocks(row["agnostic_blocks_h"], row["agnostic_blocks_w"])
    assert np.array_equal(rle.decode(row["agnostic_mask"]), agnostic_masks(masks, blocks))
    assert row["agnostic_seed"] == clip_seed(5, "a")
    assert row == stage({"clip_id": "a", "character_mask": rle.encode(masks)})


def test_clips_differ(masks):
    stage = AgnosticMaskStage(AgnosticMaskConfig(mode="training"))
    rows = [stage({"clip_id": f"clip-{i}", "character_mask": rle.encode(masks)}) for i in range(12)]
    assert len({(row["agnostic_blocks_h"], row["agnostic_blocks_w"]) for row in rows}) > 8


def test_seed_is_the_same_in_another_process():
    code = "from stages.prepare.agnostic import clip_seed; print(clip_seed(3, 'ü-1'))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(other.stdout) == clip_seed(3, "ü-1") < 2**63
    assert clip_seed(3, "ü-1") != clip_seed(4, "ü-1")


def test_refuses_another_mode():
    with pytest.raises(ValueError, match="mode must be one of inference, training, got 'train'"):
        AgnosticMaskConfig(mode="train")
