from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.pose.pose_map import PRESETS, draw_pose
from models.pose.skeleton import INDEX, NUM_KEYPOINTS
from models.training.recipe import SamplingConfig
from models.training.sample_spec import (
    SPEC,
    ClipOrder,
    MixedOrder,
    SampleSpec,
    covering_short_side,
    cut_frames,
    cut_keypoints,
    cut_masks,
    sample_spec,
    stream,
)

WHOLE = SampleSpec(targets=(0,), reference=0, crop_share=1.0, crop_place=(0.5, 0.5), mirrored=False)


def test_every_epoch_takes_every_clip_once_in_an_order_of_its_own() -> None:
    order = ClipOrder(20, seed=3)
    epochs = [[order[epoch * 20 + place] for place in range(20)] for epoch in range(3)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(20))
    assert epochs[0] != epochs[1] != epochs[2]
    # Whatever was asked before.
    assert [ClipOrder(20, seed=3)[40 + place] for place in range(20)] == epochs[2]
    assert [ClipOrder(20, seed=4)[place] for place in range(20)] != epochs[0]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_the_samples_is_of_scenery(share: float) -> None:
    order = MixedOrder(3, 2, seed=3, scenery_share=share)
    clips = np.array([order[number] for number in range(3000)])
    counts = np.bincount(clips, minlength=5) / 3000
    assert np.allclose(counts, [(1 - share) / 3] * 3 + [share / 2] * 2, atol=0.02)
    # The others are those of a run without scenery; every sample depends on its number only.
    plain = ClipOrder(3, seed=3)
    assert all(plain[number] == clip for number, clip in enumerate(clips.tolist()) if clip < 3)
    assert MixedOrder(3, 2, seed=3, scenery_share=share)[2500] == clips[2500]
    assert [MixedOrder(3, 0, seed=3, scenery_share=share)[n] for n in range(9)] == [plain[n] for n in range(9)]


@given(
    num_frames=st.integers(1, 60),
    targets=st.integers(1, 8),
    step=st.integers(1, 4),
    margin=st.integers(0, 40),
    seed=st.integers(0, 1000),
)
def test_targets_are_evenly_spaced_and_the_reference_is_away_from_them(
    num_frames: int, targets: int, step: int, margin: int, seed: int
) -> None:
    config = SamplingConfig(num_frames=targets, frame_step=step, sample_margin=margin)
    if num_frames < config.span:
        with pytest.raises(ValueError, match=f"too short, targets span {config.span}"):
            sample_spec(num_frames, config, stream(seed, SPEC, 0))
        return
    spec = sample_spec(num_frames, config, stream(seed, SPEC, 0))
    assert len(spec.targets) == targets
    assert set(np.diff(spec.targets)) <= {step}
    assert min(spec.targets) >= 0
    assert max(spec.targets) < num_frames
    first, last = spec.targets[0], spec.targets[-1]
    away = max(first - spec.reference, spec.reference - last)
    farthest = max(first, num_frames - 1 - last)
    assert away >= min(margin, farthest)
    assert 0 <= spec.reference < num_frames


def test_every_start_and_every_far_reference_are_drawn() -> None:
    config = SamplingConfig(num_frames=2, sample_margin=3)
    specs = [sample_spec(8, config, stream(0, SPEC, number)) for number in range(400)]
    assert {spec.targets[0] for spec in specs} == set(range(7))
    assert {spec.reference for spec in specs if spec.targets[0] == 3} == {0, 7}


def test_the_part_is_the_largest_of_its_aspect_from_the_middle() -> None:
    frames = np.zeros((2, 64, 96, 3), np.uint8)
    frames[:, :, 16:80] = 200
    out = cut_frames(frames, WHOLE, SamplingConfig(height_px=64, width_px=64))
    assert out.shape == (2, 64, 64, 3)
    assert (out == 200).all()


def test_drawings_lie_over_the_pictures_they_are_of() -> None:
    """A bright spot at a joint stays under the joint, however the picture is cut, mirrored and scaled."""
    for seed in range(20):
        config = SamplingConfig(height_px=64, width_px=96, min_crop_share=0.7, mirror_share=0.5)
        spec = sample_spec(1, config, stream(seed, SPEC, 0))
        # Decoded at 160 x 120; keypoints were found at twice that size.
        x, y = 80.0, 60.0
        frame = np.zeros((1, 120, 160, 3), np.uint8)
        frame[0, int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4] = 255
        keypoints = np.zeros((1, NUM_KEYPOINTS, 3), np.float32)
        keypoints[0, INDEX["left_wrist"]] = (2 * x + 0.5, 2 * y + 0.5, 1.0)
        picture = cut_frames(frame, spec, config)[0]
        found = cut_keypoints(keypoints, spec, config, work_size_px=(240, 320), frame_size_px=(120, 160))[0]
        drawing = draw_pose(found, height_px=64, width_px=96, preset=PRESETS["embedded"])
        spot, joint = (np.argwhere(image.max(axis=2) > 100).mean(axis=0) for image in (picture, drawing))
        # Drawings round down to whole pixels.
        assert np.abs(spot - joint).max() < 1.2, (seed, spec)


@given(references=st.lists(st.booleans(), min_size=12, max_size=12), seed=st.integers(0, 1000))
def test_the_reference_is_drawn_of_the_frames_that_may_be(references: list[bool], seed: int) -> None:
    config = SamplingConfig(num_frames=3, sample_margin=4)
    allowed = np.array(references)
    if not allowed.any():
        with pytest.raises(ValueError, match="at least one of 12 frames that may be the reference"):
            sample_spec(12, config, stream(seed, SPEC, 0), references_T=allowed)
        return
    spec = sample_spec(12, config, stream(seed, SPEC, 0), references_T=allowed)
    assert allowed[spec.reference]
    away = [max(spec.targets[0] - t, t - spec.targets[-1]) for t in range(12)]
    assert away[spec.reference] >= min(4, max(away[t] for t in np.flatnonzero(allowed)))
    plain = sample_spec(12, config, stream(seed, SPEC, 0))
    assert spec.targets == plain.targets
    if allowed.all():
        assert spec == plain


@given(
    size_px=st.sampled_from([(64, 64), (120, 160), (97, 61)]),
    out_px=st.sampled_from([(64, 64), (64, 96), (32, 24)]),
    seed=st.integers(0, 1000),
)
def test_masks_are_cut_as_frames_are(size_px: tuple[int, int], out_px: tuple[int, int], seed: int) -> None:
    config = SamplingConfig(height_px=out_px[0], width_px=out_px[1], min_crop_share=0.6, mirror_share=0.5)
    spec = sample_spec(1, config, stream(seed, SPEC, 0))
    mask = np.zeros((2, *size_px), np.bool_)
    mask[0, size_px[0] // 3 :, : size_px[1] // 2] = mask[1, :, size_px[1] // 4] = True
    cut = cut_masks(mask, spec, config)
    assert (cut.shape, cut.dtype) == ((2, *out_px), np.bool_)
    pictures = cut_frames(np.repeat(mask[..., None] * np.uint8(255), 3, axis=3), spec, config)[..., 0]
    # Cubic and linear interpolation differ near one half.
    assert (cut[pictures > 160]).all()
    assert not cut[pictures < 95].any()
    # Covering masks leave no pixel of the mask out, however little of it is covered.
    covering = cut_masks(mask, spec, config, covering=True)
    assert (covering | ~cut).all()
    if spec.crop_share * min(size_px[0] / out_px[0], size_px[1] / out_px[1]) > 1.05:  # frames are averaged down
        assert covering[pictures > 0].all()


def test_mirrored_skeletons_change_sides() -> None:
    config = SamplingConfig(height_px=64, width_px=64)
    keypoints = np.zeros((1, NUM_KEYPOINTS, 3), np.float32)
    keypoints[0, INDEX["left_wrist"]] = (50, 30, 1.0)
    flipped = replace(WHOLE, mirrored=True)
    found = cut_keypoints(keypoints, flipped, config, work_size_px=(64, 64), frame_size_px=(64, 64))
    assert found[0, INDEX["right_wrist"]].tolist() == [13, 30, 1.0]
    assert not found[0, INDEX["left_wrist"], 2]


@pytest.mark.parametrize(
    ("size_px", "share", "expected"), [((480, 640), 1.0, 64), ((480, 640), 0.5, 128), ((60, 40), 1.0, 40)]
)
def test_videos_are_decoded_as_small_as_a_cut_allows(size_px: tuple[int, int], share: float, expected: int) -> None:
    config = SamplingConfig(height_px=64, width_px=64, min_crop_share=share)
    assert covering_short_side(size_px, config) == expected
