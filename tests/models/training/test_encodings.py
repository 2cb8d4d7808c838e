from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from models.training.batch import SampleBatch
from models.training.encodings import Encodings


class Encoder:
    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, images_N3HW: Tensor) -> Tensor:
        self.batches.append(len(images_N3HW))
        return images_N3HW.mean((2, 3))


PICTURES = np.arange(4, dtype=np.uint8)[:, None, None, None].repeat(8, 1).repeat(8, 2).repeat(3, 3)
KEYS = [(0, frame, False) for frame in range(4)]


def test_a_picture_that_comes_back_is_not_encoded_again() -> None:
    encode = Encoder()
    kept = Encodings(encode, device=torch.device("cpu"), keep_bytes=1000)
    first = kept(PICTURES, KEYS)
    again = kept(PICTURES[[3, 1]], [KEYS[3], KEYS[1]])
    assert encode.batches == [1, 1, 1, 1]
    assert torch.equal(again, first[[3, 1]])
    kept(PICTURES[:1], [(0, 0, True)])
    assert len(encode.batches) == 5


def test_what_does_not_fit_is_encoded_every_time() -> None:
    encode = Encoder()
    kept = Encodings(encode, device=torch.device("cpu"), keep_bytes=2 * 3 * 4)
    for _ in range(2):
        kept(PICTURES, KEYS)
    assert len(encode.batches) == 4 + 2


def test_stored_encodings_stand_for_pictures() -> None:
    encode = Encoder()
    encodings = Encodings(encode, device=torch.device("cpu"))
    frames = PICTURES.reshape(1, 4, 8, 8, 3)
    batch = SampleBatch(
        samples_B=np.zeros(1, np.int64),
        clips_B=np.zeros(1, np.int64),
        poses_BFHWC=frames[:, 1:],
        reference_poses_BHWC=frames[:, 0],
        keypoints_BGK3=np.zeros((1, 4, 133, 3), np.float32),
        pose_keypoints_BFK3=np.zeros((1, 3, 133, 3), np.float32),
        target_frames_BF=np.array([[1, 2, 3]]),
        reference_frames_B=np.zeros(1, np.int64),
        mirrored_B=np.zeros(1, bool),
        targets_BFHWC=frames[:, 1:],
        references_BHWC=frames[:, 0],
    )
    targets, references = encodings.targets(batch, None), encodings.references(batch, None)
    assert encode.batches == [3, 1]
    stored_BG = torch.cat([references, targets])[None].half().numpy()
    without = replace(batch, targets_BFHWC=None, references_BHWC=None)
    torch.testing.assert_close(encodings.targets(without, stored_BG), targets, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(encodings.references(without, stored_BG), references, rtol=1e-3, atol=1e-3)
    assert encode.batches == [3, 1]


def test_nothing_kept_encodes_all_at_once() -> None:
    encode = Encoder()
    Encodings(encode, device=torch.device("cpu"))(PICTURES, KEYS)
    assert encode.batches == [4]
