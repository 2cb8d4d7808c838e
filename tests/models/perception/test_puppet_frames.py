from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.perception.puppet_frames import (
    CHARACTER,
    FIRST_OBJECT,
    OUTSIDE,
    SCENERY,
    PuppetFramesConfig,
    open_frames,
    render_frames,
)

CONFIG = PuppetFramesConfig(split="train", first_seed=0, num_videos=6, frames_per_video=2)
MIXED = replace(CONFIG, interacting_share=0.5)


def test_frames_have_ground_truth_and_are_rendered_once(tmp_path: Path) -> None:
    frames = open_frames(CONFIG, tmp_path)
    render_frames(CONFIG, frames, range(3))
    assert frames.done.tolist() == [True] * 6 + [False] * 6
    assert set(np.unique(frames.labels[:6])) <= {
        SCENERY,
        CHARACTER,
        FIRST_OBJECT,
        FIRST_OBJECT + 1,
        FIRST_OBJECT + 2,
        OUTSIDE,
    }
    for index in range(6):
        visible = frames.keypoints[index][frames.keypoints[index, :, 2] == 2]
        places = np.clip(np.rint(visible[:, :2]).astype(int), 0, 191)
        assert (frames.labels[index][places[:, 1], places[:, 0]] == CHARACTER).mean() > 0.8
        character = frames.labels[index] == CHARACTER
        assert frames.depth[index][character].max() < frames.depth[index][frames.labels[index] == SCENERY].min()
        assert set(np.unique(frames.object_labels[index])) <= {0, 1, OUTSIDE}
    again = open_frames(CONFIG, tmp_path)
    again.images[0] = 7
    render_frames(CONFIG, again, range(6))
    assert again.done.all()
    assert (again.images[0] == 7).all()


def test_characters_interact_in_a_share_of_the_videos_and_the_others_stay_as_they_are(tmp_path: Path) -> None:
    plain, mixed = open_frames(CONFIG, tmp_path / "plain"), open_frames(MIXED, tmp_path / "mixed")
    render_frames(CONFIG, plain, range(6))
    render_frames(MIXED, mixed, range(6))
    same = [np.array_equal(plain.images[2 * video], mixed.images[2 * video]) for video in range(6)]
    assert 0 < sum(same) < 6
    for video in np.flatnonzero(~np.array(same)):
        assert (mixed.labels[2 * video : 2 * video + 2] >= FIRST_OBJECT).any()


def test_a_folder_of_another_dataset_is_refused(tmp_path: Path) -> None:
    open_frames(CONFIG, tmp_path)
    with pytest.raises(ValueError, match="name another folder"):
        open_frames(replace(CONFIG, first_seed=1), tmp_path)
