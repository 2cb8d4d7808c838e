from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.perception.portrait_frames import PortraitFramesConfig, open_portraits, render_portraits
from models.pose.skeleton import FACE

CONFIG = PortraitFramesConfig(split="train", first_seed=0, num_videos=2, frames_per_video=2)


def test_portraits_show_their_face_and_are_rendered_once(tmp_path: Path) -> None:
    frames = open_portraits(CONFIG, tmp_path)
    render_portraits(CONFIG, frames, range(1))
    assert frames.done.tolist() == [True, True, False, False]
    assert frames.images.shape == (4, 192, 144, 3)
    assert (frames.keypoints[:2, FACE, 2] > 0).all()
    assert not np.array_equal(frames.images[0], frames.images[1])
    again = open_portraits(CONFIG, tmp_path)
    again.images[0] = 7
    render_portraits(CONFIG, again, range(2))
    assert again.done.all()
    assert (again.images[0] == 7).all()


def test_a_folder_of_another_dataset_is_refused(tmp_path: Path) -> None:
    open_portraits(CONFIG, tmp_path)
    with pytest.raises(ValueError, match="name another folder"):
        open_portraits(replace(CONFIG, frames_per_video=3), tmp_path)
