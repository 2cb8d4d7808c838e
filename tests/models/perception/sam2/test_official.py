from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from stand_in_sam2_official import save_both

from models.common.digest import CheckpointError
from models.perception.prompts import ObjectPrompt
from models.perception.sam2.official import OfficialSam2Tracker
from models.perception.sam2.tracker import Sam2Tracker

NONE = np.zeros((0, 2), np.float32)
needs_sam2 = pytest.mark.skipif(
    importlib.util.find_spec("sam2") is None, reason="the package sam2 is not installed: pip install 'zoetrope[sam2]'"
)


def prompts() -> list[list[ObjectPrompt]]:
    """A box in the middle of the clip; a point, and another one later."""
    box = ObjectPrompt(frame=1, box=(10, 8, 50, 40), positive=NONE, negative=NONE)
    points = [
        ObjectPrompt(frame=t, box=None, positive=np.array([[x, 30]], np.float32), negative=NONE)
        for t, x in ((0, 60), (2, 20))
    ]
    return [[box], points]


@needs_sam2
@pytest.mark.slow
def test_both_trackers_give_the_same_masks_on_the_same_weights(tmp_path: Path) -> None:
    file = tmp_path / "sam2.1_hiera_tiny.pt"
    save_both(tmp_path, file)
    frames = np.random.default_rng(3).integers(0, 256, (3, 6, 10, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
    ours = Sam2Tracker(tmp_path).track(frames, prompts())
    theirs = OfficialSam2Tracker(file).track(frames, prompts())
    assert 0.02 < ours.mean() < 0.98
    # Sums in another order move the outline of random masks by a pixel here and there.
    assert (ours != theirs).mean() < 1e-3


@needs_sam2
def test_a_file_with_parts_missing_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "sam2.1_hiera_tiny.pt"
    torch.save({"model": {"no_mem_embed": torch.zeros(1, 1, 256)}}, file)
    with pytest.raises(CheckpointError, match="does not fit SAM2VideoPredictor: 470 missing"):
        OfficialSam2Tracker(file)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cannot read the checkpoint"):
        OfficialSam2Tracker(file)


def test_without_the_package_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sam2", "sam2.build_sam"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(CheckpointError, match=r"pip install 'zoetrope\[sam2\]'.*backend sam2"):
        OfficialSam2Tracker(tmp_path / "sam2.1_hiera_tiny.pt")


def test_the_file_name_selects_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"expected one of sam2\.1_hiera_tiny, "):
        OfficialSam2Tracker(tmp_path / "checkpoint.pt")


@needs_sam2
@pytest.mark.weights
def test_the_published_weights_track_a_square() -> None:
    if not (file := os.environ.get("ZOETROPE_TEST_SAM2_OFFICIAL")):
        pytest.skip("set ZOETROPE_TEST_SAM2_OFFICIAL to sam2.1_hiera_tiny.pt of facebook/sam2.1-hiera-tiny")
    frames = np.full((4, 240, 320, 3), 60, np.uint8)
    for t in range(4):
        frames[t, 80:160, 100 + 8 * t : 180 + 8 * t] = (220, 40, 40)
    box = ObjectPrompt(frame=1, box=(108, 80, 188, 160), positive=NONE, negative=NONE)
    masks = OfficialSam2Tracker(Path(file)).track(frames, [[box]])[0]
    truth = frames[..., 0] == 220
    assert ((masks & truth).sum() / (masks | truth).sum()) > 0.9
