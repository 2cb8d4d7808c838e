import numpy as np
import pytest

from models.depth.structured import encode_depth, skeleton_masks
from models.masks import rle
from models.masks.agnostic import agnostic_masks
from models.puppets import render, sample_spec

NUM_FRAMES = 6


@pytest.fixture(scope="session")
def prepared():
    """Row of `prepared` from the ground truth of a puppet, and its frames."""
    frames = list(render(sample_spec(8, size_px=(96, 64)), fps=8, num_frames=NUM_FRAMES))
    keypoints = np.stack([frame.keypoints for frame in frames]).astype(np.float32)
    keypoints[..., 2] /= 2
    masks = np.stack([frame.character_mask for frame in frames])
    depth = np.stack([frame.depth for frame in frames])
    coded = encode_depth(depth, skeleton_masks(keypoints, masks.shape[1:], line_width_share=0.02))
    row = {
        "clip_id": "puppet-8",
        "uri": "puppets/8.mp4",
        "status": "ok",
        "num_frames": NUM_FRAMES,
        "frame_seconds": [t / 8 for t in range(NUM_FRAMES)],
        "keypoints": keypoints.tolist(),
        "depth_png": coded.png,
        "depth_min": coded.minimum,
        "depth_max": coded.maximum,
        "character_mask": rle.encode(masks),
        "object_masks": [
            {"object_id": name, "masks": rle.encode(np.stack([frame.object_masks[name] for frame in frames]))}
            for name in frames[0].object_masks
        ],
        "agnostic_mask": rle.encode(agnostic_masks(masks)),
        "pose_confidence": 0.9,
        "motion_magnitude": 0.3,
        "sharpness": 812.5,
        "seconds_by_stage": {"decode": 0.2, "pose": 0.4},
    }
    return row, np.stack([frame.rgb for frame in frames])
