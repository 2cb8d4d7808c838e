import numpy as np
import pytest

from models.depth.structured import decode_depth
from models.pose.skeleton import INDEX
from stages.prepare.structured_depth import StructuredDepthConfig, StructuredDepthStage


def test_keeps_depth_inside_the_skeleton_only():
    keypoints = np.zeros((2, 133, 3), np.float32)
    keypoints[:, INDEX["left_hip"]] = (20, 5, 1)
    keypoints[:, INDEX["left_knee"]] = (20, 55, 1)
    depth = np.tile(np.linspace(1, 3, 60, dtype=np.float32)[None, :, None], (2, 1, 40))
    row = StructuredDepthStage(StructuredDepthConfig(line_width_share=0.1))({"keypoints": keypoints, "depth": depth})
    decoded = decode_depth(row["depth_png"], minimum=row["depth_min"], maximum=row["depth_max"])
    assert decoded.shape == (2, 60, 40)
    kept = ~np.isnan(decoded)
    assert kept[:, 10:50, 19:22].all()
    assert not kept[:, :, :15].any()
    assert np.abs(decoded - depth)[kept].max() < 1e-4
    assert 1 < row["depth_min"] < 1.3 < 2.7 < row["depth_max"] < 3


@pytest.mark.parametrize("options", [{"line_width_share": 0}, {"line_width_share": 2}, {"min_score": 0}])
def test_refuses_senseless_settings(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        StructuredDepthConfig(**options)
