from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.perception.people import MAX_GAP_FRAMES, MIN_RETURN_FRAMES, Persons, character, follow

WIDTH, HEIGHT = 640, 480
Figure = tuple[float, float, float]
"""Centre and height of a person."""


def persons(figures: list[Figure], *, posed: bool = True, score: float = 0.9) -> Persons:
    """Upright figures, half as wide as high, with body keypoints all over."""
    x, y, height = np.array(figures, np.float32).reshape(-1, 3).T
    boxes = np.stack([x - height / 4, y - height / 2, x + height / 4, y + height / 2], axis=1)
    places = np.random.default_rng(0).uniform(-0.5, 0.5, (133, 2)).astype(np.float32) * [0.5, 1]
    keypoints = np.ones((len(x), 133, 3), np.float32)
    keypoints[..., :2] = boxes[:, None, :2] / 2 + boxes[:, None, 2:] / 2 + places * height[:, None, None]
    keypoints[..., 2] = posed
    return Persons(boxes=boxes, scores=np.full(len(x), score, np.float32), keypoints=keypoints)


def chosen(figures_T: list[list[Figure]], **options: bool) -> list[int]:
    clip = [persons(figures, **options) for figures in figures_T]
    return character(clip, width_px=WIDTH, height_px=HEIGHT).tolist()


def test_a_clip_without_persons_has_no_character() -> None:
    assert chosen([[], [], []]) == [-1, -1, -1]
    assert chosen([]) == []


def test_a_clip_of_one_frame() -> None:
    assert chosen([[(100, 240, 100), (320, 240, 300)]]) == [1]


def test_the_character_is_the_largest_then_the_most_central_person() -> None:
    assert chosen([[(320, 240, 150), (200, 240, 300)]] * 3) == [1, 1, 1]
    assert chosen([[(100, 240, 200), (320, 240, 200), (560, 240, 200)]] * 3) == [1, 1, 1]


def test_a_person_visible_throughout_is_preferred_to_a_passer_by() -> None:
    stays = (320.0, 240.0, 200.0)
    passing = [(40.0 + 60 * t, 240.0, 380.0) for t in range(10)]
    clip = [[stays]] * 10 + [[passer, stays] for passer in passing] + [[stays]] * 10
    assert chosen(clip) == [0] * 10 + [1] * 10 + [0] * 10


def test_crossing_persons_keep_their_identity_by_their_keypoints() -> None:
    clip = [[(100.0 + 22 * t, 240, 300), (540.0 - 22 * t, 240, 200)] for t in range(21)]
    assert chosen(clip) == [0] * 21


def test_a_missed_frame_does_not_end_a_track() -> None:
    figure = (320.0, 240.0, 200.0)
    other = (100.0, 240.0, 150.0)
    gap = [[other]] * MAX_GAP_FRAMES
    clip = [persons(frame) for frame in [[figure, other], *gap, [figure, other]]]
    assert [track.frames for track in follow(clip)] == [[0, len(clip) - 1], list(range(len(clip)))]


def test_a_long_later_track_is_joined_to_the_character_a_short_one_is_not() -> None:
    absent: list[list[Figure]] = [[]] * (MAX_GAP_FRAMES + 5)
    first: list[list[Figure]] = [[(320, 240, 300)]] * 12
    assert chosen([*first, *absent, *([[(100, 200, 200)]] * MIN_RETURN_FRAMES)])[-1] == 0
    assert chosen([*first, *absent, *([[(100, 200, 200)]] * (MIN_RETURN_FRAMES - 1))])[-1] == -1


def test_a_track_that_shares_a_frame_with_the_character_is_not_joined() -> None:
    figure, bystander = (320.0, 240.0, 300.0), (80.0, 240.0, 150.0)
    assert chosen([[bystander, figure]] * 12 + [[bystander]] * 12) == [1] * 12 + [-1] * 12


figures = st.tuples(st.floats(-50, WIDTH + 50), st.floats(-50, HEIGHT + 50), st.floats(10, 600))
clips = st.lists(st.lists(figures, max_size=5), max_size=12)


@given(clips, st.booleans())
def test_every_person_is_in_one_track(clip: list[list[Figure]], posed: bool) -> None:
    tracks = follow([persons(frame, posed=posed) for frame in clip])
    entries = [entry for track in tracks for entry in zip(track.frames, track.persons, strict=True)]
    assert sorted(entries) == [(t, n) for t, frame in enumerate(clip) for n in range(len(frame))]
    for track in tracks:
        gaps = np.diff(track.frames)
        assert ((gaps >= 1) & (gaps <= 1 + MAX_GAP_FRAMES)).all()


@given(clips, st.booleans())
def test_the_character_is_one_of_the_persons(clip: list[list[Figure]], posed: bool) -> None:
    indices = chosen(clip, posed=posed)
    assert len(indices) == len(clip)
    assert all(-1 <= n < len(frame) for n, frame in zip(indices, clip, strict=True))
    assert any(n >= 0 for n in indices) == any(clip)


@given(clips, st.randoms(use_true_random=False))
def test_the_order_of_persons_does_not_matter(clip: list[list[Figure]], random: Random) -> None:
    # No two alike: between equals, the order decides.
    clip = [
        [(x + t + n / 7, y, height + t / 3 + n) for n, (x, y, height) in enumerate(frame)]
        for t, frame in enumerate(clip)
    ]
    shuffled = [random.sample(frame, len(frame)) for frame in clip]
    one = [frame[n] if n >= 0 else None for frame, n in zip(clip, chosen(clip), strict=True)]
    other = [frame[n] if n >= 0 else None for frame, n in zip(shuffled, chosen(shuffled), strict=True)]
    assert one == other


@given(st.integers(2, 20), st.integers(0, 4), st.floats(-0.3, 0.3), st.floats(60, 300))
def test_steady_motion_gives_one_track(num: int, missed_every: int, step: float, height: float) -> None:
    clip: list[list[Figure]] = [
        []
        if missed_every and 0 < t < num - 1 and t % (missed_every + 1) == 0
        else [(320 + step * height * t / 2, 240, height)]
        for t in range(num)
    ]
    tracks = follow([persons(frame) for frame in clip])
    assert len(tracks) == 1
