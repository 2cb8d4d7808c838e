from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.perception.augment import face_sample, figure_sample, object_sample, recoloured
from models.perception.portrait_frames import PortraitFrames
from models.perception.puppet_frames import CHARACTER, FIRST_OBJECT, OUTSIDE, SCENERY, PuppetFrames
from models.pose.skeleton import FACE


@pytest.fixture(scope="module")
def frames() -> PuppetFrames:
    """One frame: a red character with four keypoints at its corners, a green object, bars left and right."""
    side = 192
    image = np.full((side, side, 3), 90, np.uint8)
    labels = np.full((side, side), SCENERY, np.uint8)
    image[60:140, 70:110], labels[60:140, 70:110] = (220, 40, 40), CHARACTER
    image[100:120, 120:140], labels[100:120, 120:140] = (40, 220, 40), FIRST_OBJECT
    labels[:, :20] = labels[:, -20:] = OUTSIDE
    keypoints = np.zeros((133, 3), np.float32)
    for index, (x, y) in enumerate([(70, 60), (109, 60), (70, 139), (109, 139)]):
        keypoints[5 + index] = x, y, 2  # shoulders and elbows
    object_labels = np.zeros((128, 128), np.uint8)
    object_labels[44:84, 50:78] = 1
    object_image = np.full((128, 128, 3), 90, np.uint8)
    object_image[44:84, 50:78] = (40, 220, 40)
    return PuppetFrames(
        images=image[None],
        labels=labels[None],
        depth=np.where(labels == CHARACTER, 1.0, 3.0).astype(np.float16)[None],
        keypoints=keypoints[None],
        object_images=object_image[None],
        object_labels=object_labels[None],
        done=np.ones(1, bool),
    )


def test_image_labels_depth_and_keypoints_move_together(frames: PuppetFrames) -> None:
    num_visible = 0
    for seed in range(40):
        sample = figure_sample(frames, 0, np.random.default_rng(seed), negative_share=0.0)
        assert sample.mask_weight == sample.depth_weight == 1.0
        assert np.array_equal(sample.depth[sample.labels == CHARACTER], np.ones((sample.labels == CHARACTER).sum()))
        ys, xs = np.nonzero(sample.labels == CHARACTER)
        for x, y, visibility in sample.keypoints[5:9]:
            if visibility == 0:
                continue
            num_visible += 1
            assert np.hypot(xs - x, ys - y).min() < 2.5
    assert num_visible > 100


def test_left_and_right_swap_when_mirrored(frames: PuppetFrames) -> None:
    sides = set()
    for seed in range(20):
        points = figure_sample(frames, 0, np.random.default_rng(seed), negative_share=0.0).keypoints
        if (points[5:7, 2] > 0).all():
            sides.add(bool(points[5, 0] < points[6, 0]))
    assert sides == {True}  # 5 stays on the image's left: mirroring exchanges both the places and the names


def test_pictures_without_a_character_have_no_keypoints(frames: PuppetFrames) -> None:
    kinds = set()
    for seed in range(60):
        sample = figure_sample(frames, 0, np.random.default_rng(seed), negative_share=1.0)
        assert not sample.keypoints[:, 2].any()
        kinds.add((sample.mask_weight, sample.depth_weight))
        if sample.mask_weight:
            assert not (sample.labels == CHARACTER).any()
    assert kinds == {(1.0, 1.0), (0.0, 0.0), (1.0, 0.0)}


def test_samples_are_the_same_for_the_same_seed(frames: PuppetFrames) -> None:
    first, second = (figure_sample(frames, 0, np.random.default_rng(3), negative_share=0.1) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.keypoints, second.keypoints)


def test_object_prompts_point_at_the_object(frames: PuppetFrames) -> None:
    boxes = points = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        sample = object_sample(frames, 0, rng, side_px=64, negative_share=0.0)
        assert sample.image.shape == (64, 64, 3)
        assert sample.prompts.shape == (96, 96, 2)
        mask = sample.labels == 1
        assert mask.any()
        if sample.prompts[..., 0].any():
            boxes += 1
            assert (sample.prompts[..., 0] * mask).sum() / mask.sum() > 0.6
        if sample.prompts[..., 1].any():
            points += 1
            near = cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
            assert near[sample.prompts[..., 1] > 0.5].mean() > 0.9
    assert boxes > 20
    assert points > 10


def test_negative_samples_keep_the_prompt_of_an_erased_object(frames: PuppetFrames) -> None:
    for seed in range(20):
        sample = object_sample(frames, 0, np.random.default_rng(seed), side_px=64, negative_share=1.0)
        assert not (sample.labels == 1).any()
        assert sample.prompts.any()


def test_recolouring_keeps_the_shape(frames: PuppetFrames) -> None:
    changed = [recoloured(frames.images[0], np.random.default_rng(seed)) for seed in range(30)]
    assert all(image.shape == (192, 192, 3) and image.dtype == np.uint8 for image in changed)
    assert len({image.tobytes() for image in changed}) > 25


@pytest.fixture(scope="module")
def portraits() -> PortraitFrames:
    """One dark frame with a face of 40 x 56 px: a white disc at its chin, the eyes' outer corners at its sides."""
    keypoints = np.zeros((133, 3), np.float32)
    landmarks = keypoints[FACE]
    landmarks[:] = 70, 98, 2
    landmarks[8, :2], landmarks[27, :2] = (70, 126), (70, 70)
    landmarks[36, :2], landmarks[45, :2] = (50, 90), (90, 90)
    image = np.full((192, 144, 3), 20, np.uint8)
    cv2.circle(image, (70, 126), 6, (255, 255, 255), cv2.FILLED)
    return PortraitFrames(images=image[None], keypoints=keypoints[None], done=np.ones(1, bool))


def test_faces_fill_the_square_and_landmarks_move_with_the_pixels(portraits: PortraitFrames) -> None:
    for seed in range(40):
        sample = face_sample(portraits, 0, np.random.default_rng(seed), side_px=64, negative_share=0.0)
        assert sample.image.shape == (64, 64, 3)
        height_px = np.linalg.norm(sample.landmarks[8, :2] - sample.landmarks[27, :2])
        assert 64 / 1.5 / 1.25 < height_px < 64 / 1.5 * 1.3
        if sample.landmarks[8, 2]:
            brightness = cv2.GaussianBlur(sample.image.astype(np.float32).mean(axis=2), (0, 0), 3)
            y, x = np.unravel_index(brightness.argmax(), brightness.shape)
            assert np.hypot(x - sample.landmarks[8, 0], y - sample.landmarks[8, 1]) < 4


def test_left_and_right_of_a_face_swap_when_mirrored(portraits: PortraitFrames) -> None:
    for seed in range(20):
        landmarks = face_sample(portraits, 0, np.random.default_rng(seed), side_px=64, negative_share=0.0).landmarks
        assert landmarks[36, 0] < landmarks[45, 0]


def test_pictures_without_a_face_have_no_landmarks(portraits: PortraitFrames) -> None:
    pictures = [
        face_sample(portraits, 0, np.random.default_rng(seed), side_px=64, negative_share=1.0) for seed in range(12)
    ]
    assert not any(sample.landmarks.any() for sample in pictures)
    assert len({sample.image.tobytes() for sample in pictures}) == 12
