from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.pose.skeleton import INDEX
from models.puppets import INTERACTIONS, Interaction, PuppetFrame, PuppetVideoSpec, render, render_frame
from models.puppets import sample_interaction as sample
from models.puppets.drawing.geometry import pitch_matrix
from models.puppets.render import skeleton_at
from models.puppets.scene.interactions import GRAVITY, flight_seconds, standing_yaw
from models.puppets.scene.nearby import seat_height

SIZE = (96, 72)
BODY = slice(0, 23)


def _frames(spec: PuppetVideoSpec, num_frames: int = 16) -> list[PuppetFrame]:
    return list(render(spec, num_frames / spec.duration_seconds, num_frames))


def _centre(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    return np.array((columns.mean(), rows.mean()))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["train", "heldout"]), st.sampled_from(INTERACTIONS), st.booleans())
def test_the_whole_human_figure_is_in_the_picture(seed: int, split: str, kind: Interaction, improvised: bool) -> None:
    spec = sample(seed, split=split, size_px=SIZE, kind=kind, improvised=improvised)  # type: ignore[arg-type]
    assert spec.interaction is not None
    assert (spec.interaction.kind, spec.character.body, len(spec.shots)) == (kind, "human", 1)
    shot = spec.shots[0]
    assert (shot.pan, shot.sway, shot.zoom) == (0.0, 0.0, 0.0)
    frame = render_frame(spec, 0.37 * (seed % 5))
    legs_and_trunk = [INDEX[f"{side}_{name}"] for side in ("left", "right") for name in ("shoulder", "hip", "big_toe")]
    assert (frame.keypoints[[INDEX["nose"], *legs_and_trunk], 2] > 0).all()
    shown = frame.character_mask.copy()
    for mask in frame.object_masks.values():
        assert not (mask & shown).any()
        shown |= mask
    assert np.array_equal(frame.depth < frame.depth.max(), shown)


def test_every_interaction_occurs_in_both_splits_with_other_characters_and_motions() -> None:
    specs = {split: [sample(seed, split=split, size_px=SIZE) for seed in range(60)] for split in ("train", "heldout")}
    for drawn in specs.values():
        assert {spec.interaction.kind for spec in drawn if spec.interaction} == set(INTERACTIONS)
        assert all(spec.objects for spec in drawn)
    for choice in (lambda s: s.character.recipe, lambda s: s.motion.name):
        assert not set(map(choice, specs["train"])) & set(map(choice, specs["heldout"]))


def test_seed_determines_the_video() -> None:
    assert sample(4) == sample(4)
    assert sample(4) != sample(5)
    drawn = sample(4).interaction
    assert drawn is not None
    assert sample(4, kind=drawn.kind) == sample(4)


@pytest.mark.parametrize("seed", range(3))
def test_a_thrown_ball_flies_on_a_parabola_between_release_and_catch(seed: int) -> None:
    spec = sample(seed, size_px=(192, 144), kind="thrown")
    assert spec.interaction is not None
    interaction = replace(spec.interaction, phase=0.0)
    spec = replace(spec, interaction=interaction, motion=replace(spec.motion, name="stand", amplitude=0.0))
    flight = flight_seconds(interaction)
    release = interaction.period_seconds - flight
    unit_px = round(spec.shots[0].scale * spec.height_px)
    heights = []
    for share in (0.0, 0.25, 0.5, 0.75):
        ball = render_frame(replace(spec, objects=spec.objects[:1]), release + share * flight).object_masks["ball"]
        heights.append(spec.height_px - _centre(ball)[1])
    rise = (np.array(heights) - heights[0]) / unit_px
    elapsed = np.array((0.0, 0.25, 0.5, 0.75)) * flight
    expected = 0.5 * GRAVITY * elapsed * (flight - elapsed)
    assert interaction.reach == pytest.approx(expected.max())
    np.testing.assert_allclose(rise, expected, atol=0.04)  # the hand hides a part of the ball before it flies


@pytest.mark.parametrize("kind", ["held", "thrown", "passed", "passed_around"])
def test_things_in_hand_are_at_a_hand(kind: Interaction) -> None:
    for seed in range(6):
        spec = sample(seed, split="heldout", size_px=(192, 144), kind=kind)
        assert spec.interaction is not None
        spec = replace(spec, interaction=replace(spec.interaction, phase=0.0))
        item = spec.objects[0]
        frame = render_frame(spec, 0.05)
        rows, columns = np.nonzero(frame.object_masks[item.object_id])
        wrists = frame.keypoints[[INDEX["left_wrist"], INDEX["right_wrist"]], :2]
        distance = min(np.hypot(columns - x, rows - y).min() for x, y in wrists)
        assert distance < 0.12 * 192


def test_a_passed_thing_changes_hands() -> None:
    spec = sample(1, size_px=SIZE, kind="passed")
    assert spec.interaction is not None
    spec = replace(
        spec,
        interaction=replace(spec.interaction, phase=0.0),
        motion=replace(spec.motion, yaw=0.0, name="stand"),
        objects=spec.objects[:1],
    )
    places = []
    for share in (0.0, 0.5):
        frame = render_frame(spec, share * spec.interaction.period_seconds)  # type: ignore[union-attr]
        places.append(_centre(frame.object_masks[spec.objects[0].object_id])[0] - frame.keypoints[INDEX["nose"], 0])
    assert places[0] < -2  # the character's right is at the image's left
    assert places[1] > 2


def test_a_thing_passed_around_the_body_disappears_behind_it() -> None:
    spec = sample(2, size_px=SIZE, kind="passed_around")
    areas = [int(frame.object_masks[spec.objects[0].object_id].sum()) for frame in _frames(spec, 24)]
    assert min(areas) < 0.3 * max(areas)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["train", "heldout"]), st.floats(0.0, 3.0))
def test_who_sits_has_the_pelvis_on_the_seat_and_the_knees_bent(seed: int, split: str, seconds: float) -> None:
    spec = sample(seed, split=split, size_px=SIZE, kind="sat_on")  # type: ignore[arg-type]
    (shot,), (seat,) = spec.shots, spec.objects
    skeleton = skeleton_at(spec, shot, seconds)
    up = pitch_matrix(shot.pitch)[:, 1]
    pelvis = skeleton.pelvis - skeleton.ground
    assert pelvis @ up == pytest.approx(seat_height(seat) + 1.1 * spec.character.proportions.leg_radius)
    assert abs(skeleton.pelvis[0] - seat.x) < 1e-9
    standing = skeleton_at(replace(spec, interaction=None, motion=replace(spec.motion, name="stand")), shot, seconds)
    assert pelvis @ up < 0.85 * (standing.pelvis - standing.ground) @ up
    assert skeleton.legs is not None
    for leg in skeleton.legs:
        thigh, shin = leg.knee - leg.hip, leg.ankle - leg.knee
        assert thigh @ shin < 0.7 * np.linalg.norm(thigh) * np.linalg.norm(shin)
        assert abs((leg.ankle - skeleton.ground) @ up - 0.28 * spec.character.proportions.foot) < 0.02


def test_walks_pass_behind_and_in_front() -> None:
    for kind, in_front in (("walked_behind", True), ("walked_in_front", False)):
        for seed in range(4):
            spec = sample(seed, split="heldout", size_px=SIZE, kind=kind)  # type: ignore[arg-type]
            item = spec.objects[0]
            assert (item.z > 0) == in_front
            frames = _frames(replace(spec, objects=(item,)))
            alone = _frames(replace(spec, objects=()))
            areas = [int(frame.object_masks[item.object_id].sum()) for frame in frames]
            hidden = [int((a.character_mask & ~f.character_mask).sum()) for a, f in zip(alone, frames, strict=True)]
            if in_front:
                assert min(areas) == max(areas)
                assert max(hidden) > 0.3 * max(areas)
            else:
                assert max(hidden) == 0
                assert min(areas) < 0.8 * max(areas)


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="kind is 'eaten', expected one of held"):
        sample(0, kind="eaten")  # type: ignore[arg-type]


def _turning(kind: Interaction, split: str, number: int) -> list[PuppetVideoSpec]:
    specs = (sample(seed, split=split, size_px=(192, 144), kind=kind) for seed in range(100))  # type: ignore[arg-type]
    return [spec for spec in specs if spec.interaction and spec.interaction.turn_seconds][:number]


def _yaw(spec: PuppetVideoSpec, seconds: float) -> float:
    """Yaw of the pelvis in radians."""
    legs = skeleton_at(spec, spec.shots[0], seconds).legs
    assert legs is not None
    across = pitch_matrix(spec.shots[0].pitch).T @ (legs[0].hip - legs[1].hip)
    return float(np.arctan2(-across[2], across[0]))


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_a_share_of_the_videos_begins_with_a_turn(split: str) -> None:
    specs = [sample(seed, split=split, duration_seconds=4.0) for seed in range(300)]  # type: ignore[arg-type]
    turns = [spec.interaction.turn_seconds for spec in specs if spec.interaction and spec.interaction.turn_seconds]
    assert 0.5 < len(turns) / len(specs) < 0.7
    assert 0.8 <= min(turns) < max(turns) <= 1.4


@pytest.mark.parametrize("kind", INTERACTIONS)
def test_who_turns_faces_the_camera_first_and_has_the_yaw_of_the_motion_last(kind: Interaction) -> None:
    for spec in (*_turning(kind, "train", 2), *_turning(kind, "heldout", 2)):
        assert spec.interaction is not None
        turn = spec.interaction.turn_seconds
        yaws = [_yaw(spec, share * turn) for share in np.linspace(0.0, 1.0, 24)]
        at_once = replace(spec, interaction=replace(spec.interaction, turn_seconds=0.0))
        assert abs(yaws[0]) <= 0.3 + 1e-9
        assert np.abs(np.diff(yaws)).max() < 0.2
        if "walked" not in kind:
            assert _yaw(spec, turn) == pytest.approx(_yaw(at_once, turn))
            later = turn + 1.0  # a ball thrown during the turn has been caught
            assert np.array_equal(render_frame(spec, later).rgb, render_frame(at_once, later).rgb)
            continue
        assert abs(yaws[-1]) > 1.0
        places = [skeleton_at(spec, spec.shots[0], seconds).ground[0] for seconds in (0.0, turn, turn + 0.5)]
        assert places[0] == places[1]
        assert (places[2] - places[1]) * yaws[-1] > 0  # walks where it looks


@pytest.mark.parametrize("kind", ["held", "thrown", "passed", "passed_around"])
def test_things_in_hand_follow_a_turn(kind: Interaction) -> None:
    for spec in _turning(kind, "heldout", 3):
        assert spec.interaction is not None
        for seconds in np.linspace(0.0, spec.interaction.turn_seconds, 5):
            phase = -seconds / spec.interaction.period_seconds  # at this time the object is in a hand
            now = replace(spec, interaction=replace(spec.interaction, phase=phase % 1.0), objects=spec.objects[:1])
            frame = render_frame(now, float(seconds))
            rows, columns = np.nonzero(frame.object_masks[spec.objects[0].object_id])
            wrists = frame.keypoints[[INDEX["left_wrist"], INDEX["right_wrist"]], :2]
            assert min(np.hypot(columns - x, rows - y).min() for x, y in wrists) < 0.12 * 192


def test_a_seat_turns_with_the_character() -> None:
    for spec in _turning("sat_on", "train", 3):
        assert spec.interaction is not None
        for seconds in np.linspace(0.0, 2.0, 7):
            yaw = standing_yaw(spec.objects[0], spec.interaction, float(seconds))
            assert yaw == pytest.approx(_yaw(spec, float(seconds)))
            pelvis = skeleton_at(spec, spec.shots[0], float(seconds)).pelvis
            assert pelvis[0] == pytest.approx(spec.objects[0].x)
