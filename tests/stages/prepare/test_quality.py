import numpy as np
import pytest

from models.masks import rle
from stages.prepare.quality import QUALITY_COLUMNS, QualityConfig, QualityStage


def test_fills_every_quality_column_with_plain_numbers():
    masks = np.zeros((6, 48, 64), np.bool_)
    keypoints = np.zeros((6, 133, 3), np.float32)
    for t in range(6):
        masks[t, 4:44, 10 + t : 30 + t] = True
        keypoints[t, :17] = np.stack([np.full(17, 20 + t), np.linspace(6, 42, 17), np.full(17, 0.8)], axis=1)
    frames = np.random.default_rng(0).integers(0, 255, (6, 48, 64, 3), dtype=np.uint8)
    row = {"frames": frames, "keypoints": keypoints, "character_mask": rle.encode(masks)}
    row = QualityStage(QualityConfig())({**row, "frame_seconds": [t / 10 for t in range(6)]})
    assert {type(row[column]) for column in QUALITY_COLUMNS} == {float, int}
    assert row["pose_confidence"] == pytest.approx(0.8)
    assert row["person_share"] == row["keypoints_inside_mask"] == 1
    assert row["mask_area_jump"] == row["identity_switches"] == row["longest_absence_seconds"] == 0
    assert row["motion_magnitude"] == pytest.approx(10 / 36)
    assert row["sharpness"] > 100
