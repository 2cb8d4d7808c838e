from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from drawn_skeletons import LENGTHS_PX, skeleton
from toy_animation import scene_model, spec_of

from models.pose.absences import INTERPOLATED_SCORE
from models.pose.skeleton import INDEX
from models.video.audio import SAMPLE_RATE_HZ
from stages.animate.driving_span import DrivingSpanConfig, DrivingSpanStage
from stages.base import Row
from stages.outcome import Reason, Rejected

FPS = 12.0
NUM_FRAMES = 36


def driver(*absent: tuple[int, int], **changes: Any) -> Row:
    """A decoded driver whose frames have their index as colour and sound; nobody is in view in the ranges given."""
    keypoints = np.stack([skeleton(LENGTHS_PX, np.full(20, 0.4), (90.0 + t, 70.0)) for t in range(NUM_FRAMES)])
    for start, stop in absent:
        keypoints[start:stop] = 0
    seconds = np.arange(NUM_FRAMES) / FPS
    colours = np.arange(NUM_FRAMES, dtype=np.uint8)
    part = {"uri": "a.mp4", "start_seconds": 2.0, "num_frames": NUM_FRAMES, "frame_step": 2, "fps": 2 * FPS}
    return {
        "decoded_frames": np.broadcast_to(colours[:, None, None, None], (NUM_FRAMES, 4, 4, 3)),
        "decoded_seconds": 2.0 + seconds,
        "decoded_audio": np.repeat(colours.astype(np.int16), SAMPLE_RATE_HZ // 12)[:, None].repeat(2, axis=1),
        "decoded_part": {**part, "times_seconds": None},
        "decoded_keypoints": keypoints,
        "implausible_share": 0.0,
        "fps": FPS,
        "model_spec": spec_of(),
        "sound_fallback": None,
        **changes,
    }


def spanned(row: Row, **settings: Any) -> Row:
    return DrivingSpanStage(DrivingSpanConfig(**settings))(row)


def refused(row: Row, **settings: Any) -> Rejected:
    with pytest.raises(Rejected) as caught:
        spanned(row, **settings)
    return caught.value


def test_a_driver_that_shows_the_character_throughout_passes_unchanged() -> None:
    row = driver(sound_fallback="no_sound=DecodeError")
    out = spanned(row)
    for name in ("frames", "keypoints", "audio", "part"):
        np.testing.assert_equal(out[f"driving_{name}"], row[f"decoded_{name}"])
    np.testing.assert_equal(out["frame_seconds"], row["decoded_seconds"])
    assert out["driving_fallbacks"] == ["no_sound=DecodeError"]
    counts = ("bridged_frames", "bridged_keypoints", "cut_start_frames", "cut_end_frames", "longest_absence_seconds")
    assert [out[name] for name in counts] == [0, 0, 0, 0, 0.0]


def test_a_short_absence_is_bridged_and_counted() -> None:
    out = spanned(driver((10, 15)))
    assert (out["num_frames"], out["bridged_frames"], out["bridged_keypoints"]) == (NUM_FRAMES, 5, 0)
    assert out["driving_fallbacks"] == ["bridged_frames=5"]
    assert out["longest_absence_seconds"] == pytest.approx(5 / FPS)
    bridged = out["driving_keypoints"][10:15]
    assert (bridged[..., 2] == INTERPOLATED_SCORE).all()
    whole = driver()["decoded_keypoints"][10:15]
    np.testing.assert_allclose(bridged[..., :2], whole[..., :2], rtol=1e-5)


def test_a_joint_that_is_lost_for_a_moment_is_bridged_and_counted() -> None:
    row = driver()
    row["decoded_keypoints"][20:22, INDEX["left_wrist"]] = 0
    row["decoded_keypoints"][25:, INDEX["right_wrist"]] = 0
    out = spanned(row)
    assert (out["bridged_frames"], out["bridged_keypoints"], out["driving_fallbacks"]) == (0, 2, [])
    assert (out["driving_keypoints"][20:22, INDEX["left_wrist"], 2] == INTERPOLATED_SCORE).all()
    assert not out["driving_keypoints"][25:, INDEX["right_wrist"]].any()


def test_a_long_absence_rejects_the_request_by_default() -> None:
    error = refused(driver((10, 20)))
    assert error.reason is Reason.LONG_ABSENCE
    assert "nobody is in view for 0.833 s from 0.833 s on; 0.5 s are bridged" in error.message
    assert spanned(driver((10, 20)), max_gap_seconds=1.0)["bridged_frames"] == 10
    assert refused(driver((10, 11)), max_gap_seconds=0.0).reason is Reason.LONG_ABSENCE
    assert refused(driver((0, 12))).reason is Reason.LONG_ABSENCE


def test_a_cut_takes_the_longest_stretch_with_its_sound() -> None:
    row = driver((8, 16), (20, 22))
    out = spanned(row, absence="cut")
    assert (out["cut_start_frames"], out["num_frames"], out["cut_end_frames"]) == (16, 20, 0)
    assert out["driving_fallbacks"] == ["bridged_frames=2", "cut_start_frames=16"]
    np.testing.assert_array_equal(out["driving_frames"][:, 0, 0, 0], range(16, 36))
    np.testing.assert_array_equal(np.unique(out["driving_audio"]), range(16, 36))
    assert len(out["driving_audio"]) == round(20 / FPS * SAMPLE_RATE_HZ)
    assert out["driving_part"]["start_seconds"] == pytest.approx(2.0 + 16 / FPS)
    assert out["driving_part"]["num_frames"] == 20
    np.testing.assert_allclose(out["frame_seconds"], 2.0 + np.arange(16, 36) / FPS)


def test_a_cut_of_uneven_times_keeps_them() -> None:
    row = driver((8, 16))
    times = (2.0 + np.arange(NUM_FRAMES) / FPS + 0.01 * (np.arange(NUM_FRAMES) % 2)).tolist()
    row |= {"decoded_seconds": np.array(times), "decoded_part": {**row["decoded_part"], "times_seconds": times}}
    part = spanned(row, absence="cut")["driving_part"]
    assert part["times_seconds"] == times[16:]
    assert (part["start_seconds"], part["num_frames"]) == (times[16], 20)


def test_short_absences_at_the_ends_are_cut_off_rather_than_extrapolated() -> None:
    out = spanned(driver((0, 3), (34, 36)))
    assert (out["cut_start_frames"], out["num_frames"], out["cut_end_frames"]) == (3, 31, 2)
    assert (out["driving_keypoints"][..., 2] > 0.5).all()


def test_frames_without_the_character_are_part_of_the_scene_for_a_model_that_keeps_it() -> None:
    row = driver((0, 3), (8, 20), (25, 28), model_spec=spec_of(scene_model()))
    out = spanned(row)
    assert (out["num_frames"], out["bridged_frames"]) == (NUM_FRAMES, 3)
    assert not out["driving_keypoints"][8:20].any()


def test_too_many_implausible_frames_reject_the_request() -> None:
    error = refused(driver(implausible_share=0.75))
    assert error.reason is Reason.IMPLAUSIBLE_POSE
    assert "75% of the skeletons in 36 driving frames are implausible" in error.message
    assert spanned(driver(implausible_share=0.75), max_implausible_share=None)["num_frames"] == NUM_FRAMES
    assert refused(driver((0, NUM_FRAMES), implausible_share=0.4)).reason is Reason.NO_PERSON


@pytest.mark.parametrize("settings", [{"absence": "keep"}, {"max_gap_seconds": -1}, {"max_gap_seconds": float("nan")}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"unknown absence 'keep'|expected a finite max_gap_seconds"):
        DrivingSpanConfig(**settings)
