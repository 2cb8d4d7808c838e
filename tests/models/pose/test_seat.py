import numpy as np
import pytest
from drawn_skeletons import LENGTHS_PX, dancing
from numpy.typing import NDArray

from models.pose.seat import seated
from models.pose.skeleton import INDEX
from models.puppets.interaction import sample_interaction
from models.puppets.render import render
from models.puppets.spec import Interaction
from models.puppets.truth import truth_as_detections


def puppet(kind: Interaction, seed: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Keypoints of a character and visible pixels of its objects."""
    frames = list(render(sample_interaction(seed, size_px=(192, 144), kind=kind), fps=4.0, num_frames=6))
    keypoints = np.stack([truth_as_detections(frame.keypoints) for frame in frames])
    return keypoints, np.stack([np.logical_or.reduce([*frame.object_masks.values()]) for frame in frames])


@pytest.mark.parametrize("seed", range(6))
def test_seated_puppets_sit_and_others_do_not(seed: int) -> None:
    keypoints, objects = puppet("sat_on", seed)
    np.testing.assert_array_equal(seated(keypoints, objects), 1)
    # The same pose without a seat is a crouch; behind an object, its legs are guesses.
    np.testing.assert_array_equal(seated(keypoints, np.zeros_like(objects)), 0)
    np.testing.assert_array_equal(seated(keypoints, np.ones_like(objects)), 0)
    # A skeleton that stands in one frame is an error of its network.
    wrong = keypoints.copy()
    hips, knees, ankles = ([INDEX[f"left_{joint}"], INDEX[f"right_{joint}"]] for joint in ("hip", "knee", "ankle"))
    wrong[2, hips, 1] -= 2 * np.abs(wrong[2, ankles, 1] - wrong[2, knees, 1]).max()
    np.testing.assert_array_equal(seated(wrong, objects), 1)
    for kind in ("held", "walked_in_front", "walked_behind"):
        np.testing.assert_array_equal(seated(*puppet(kind, seed)), 0)


def test_who_sits_down_sits_by_and_by() -> None:
    """The hips sink to the knees; a frame without legs changes nothing."""
    keypoints = np.repeat(dancing(LENGTHS_PX, num_frames=1), 9, axis=0)
    hips, knees, ankles = ([INDEX[f"left_{joint}"], INDEX[f"right_{joint}"]] for joint in ("hip", "knee", "ankle"))
    keypoints[:, knees, 1], keypoints[:, ankles, 1] = 150, 190
    keypoints[:, hips, 1] = np.linspace(110, 140, 9, dtype=np.float32)[:, None]
    keypoints[4, knees, 2] = 0
    objects = np.zeros((9, 240, 160), np.bool_)
    objects[:, 180:] = True
    degrees = seated(keypoints, objects)
    assert (degrees[0], degrees[-1]) == (0, 1)
    assert (np.diff(degrees) >= 0).all()
    assert np.diff(degrees).max() < 0.5
    keypoints[:, knees, 2] = 0
    np.testing.assert_array_equal(seated(keypoints, objects), 0)


def test_rejects_masks_of_other_frames() -> None:
    with pytest.raises(ValueError, match="expected masks of 4 frames, got 3"):
        seated(dancing(LENGTHS_PX, num_frames=4), np.zeros((3, 240, 160), np.bool_))
