from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.puppets import render_frame, sample_spec
from models.puppets.truth_file import read_truth, write_truth


def test_round_trip(tmp_path: Path) -> None:
    spec = next(
        s for s in (sample_spec(seed, size_px=(96, 70), num_shots=2) for seed in range(100)) if len(s.objects) == 2
    )
    times = [0.0, 0.5, 2.9]
    frames = [render_frame(spec, time) for time in times]
    starts = spec.shot_starts_seconds
    for name in ("a.npz", "b.npz"):
        write_truth(tmp_path / name, frames, frame_seconds=times, shot_starts_seconds=starts)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]

    truth = read_truth(tmp_path / "a.npz")
    assert truth.frame_seconds.tolist() == times
    assert truth.shot_starts_seconds.tolist() == list(starts)
    assert list(truth.object_masks) == [item.object_id for item in spec.objects]
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(truth.keypoints[index], frame.keypoints)
        np.testing.assert_array_equal(truth.character_mask[index], frame.character_mask)
        np.testing.assert_allclose(truth.depth[index], frame.depth, atol=1e-4)
        for name, mask in frame.object_masks.items():
            np.testing.assert_array_equal(truth.object_masks[name][index], mask)
        for name, depths in truth.limb_depths.items():
            assert depths[index] == pytest.approx(frame.limb_depths.get(name, np.nan), abs=1e-6, nan_ok=True)


def test_a_video_without_objects(tmp_path: Path) -> None:
    spec = next(s for s in (sample_spec(seed, size_px=(64, 48)) for seed in range(100)) if not s.objects)
    write_truth(tmp_path / "a.npz", [render_frame(spec, 0.0)], frame_seconds=[0.0], shot_starts_seconds=[0.0])
    truth = read_truth(tmp_path / "a.npz")
    assert truth.object_masks == {}
    assert truth.depth.shape == (1, 64, 48)


def test_times_must_match_the_frames(tmp_path: Path) -> None:
    frame = render_frame(sample_spec(1, size_px=(64, 48)), 0.0)
    with pytest.raises(ValueError, match="1 frames and 2 times"):
        write_truth(tmp_path / "a.npz", [frame], frame_seconds=[0.0, 1.0], shot_starts_seconds=[0.0])
