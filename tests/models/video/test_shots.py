from __future__ import annotations

import numpy as np
import pytest

from models.video.container import MediaLimits
from models.video.errors import MediaError
from models.video.shots import find_cuts, find_shots

LIMITS = MediaLimits()


def scene(seed: int, num_frames: int, *, speed: int = 1) -> list[np.ndarray]:
    """A textured background that moves under a large bright figure that moves the other way."""
    rng = np.random.default_rng(seed)
    palette = rng.integers(0, 256, (6, 10, 3))
    texture = np.kron(palette, np.ones((24, 24, 1))).astype(np.uint8)
    frames = []
    for number in range(num_frames):
        frame = np.roll(texture, (0, speed * number), (0, 1)).copy()
        left = 60 + int(40 * np.sin(number / 4))
        frame[40:120, left : left + 50] = palette[0, 0] ^ 255
        frames.append(frame)
    return frames


def test_cuts_are_detected_frame_accurately(media, tmp_path):
    frames = [*scene(1, 20), *scene(2, 25, speed=3), *scene(3, 15)]
    path = media.encode(tmp_path / "a.mp4", frames, options={"crf": "28"})
    assert find_shots(str(path), LIMITS) == pytest.approx([0.0, 20 / 25, 45 / 25])


@pytest.mark.parametrize("speed", [0, 1, 4, 8])
def test_motion_is_not_a_cut(speed):
    assert find_cuts(scene(4, 40, speed=speed)) == []


def test_a_flash_is_not_a_cut():
    for length in (1, 2):
        frames = scene(5, 40)
        for number in range(20, 20 + length):
            frames[number] = np.full_like(frames[number], 250)
        assert find_cuts(frames) == []


def test_a_short_shot_gives_two_cuts():
    frames = [*scene(6, 20), *scene(7, 5), *scene(6, 20)]
    assert find_cuts(frames) == [20, 25]


def test_abrupt_motion_of_a_large_figure_is_not_a_cut():
    frames = [np.full((36, 64, 3), (120, 190, 240), dtype=np.uint8) for _ in range(30)]
    for number, frame in enumerate(frames):
        left = 10 + 14 * (number // 6 % 2)
        frame[6:, left : left + 24] = (220, 40, 40)
    assert find_cuts(frames) == []


def test_dimming_light_is_not_a_cut():
    frames = [(frame * (1 - number / 60)).astype(np.uint8) for number, frame in enumerate(scene(8, 50))]
    assert find_cuts(frames) == []


def test_a_cut_near_the_end_is_detected():
    assert find_cuts([*scene(9, 20), *scene(10, 1)]) == [20]
    assert find_cuts(scene(9, 1)) == []


def test_the_first_shot_starts_with_the_first_frame(cases):
    assert find_shots(str(cases["late_start"].path), LIMITS) == [9.0]


def test_damage_does_not_stop_shot_detection(media, tmp_path):
    path = media.encode(tmp_path / "a.mp4", [*scene(1, 20), *scene(2, 20)], options={"crf": "28", "g": "10"})
    data = path.read_bytes()
    start = media.find_box(data, b"mdat") + 2000
    path.write_bytes(media.flip_bytes(data, count=5, seed=1, start=start, stop=start + 1500))
    assert find_shots(str(path), LIMITS)[-1] == pytest.approx(20 / 25)


def test_a_file_without_decodable_frames_is_an_error(cases):
    with pytest.raises(MediaError, match="DecodeError"):
        find_shots(str(cases["no_keyframe"].path), LIMITS)


@pytest.mark.parametrize("name", ["xdyna_1", "animatex_dance1", "wan_animate"])
def test_real_dances_are_one_shot_each(driving, name):
    assert find_shots(str(driving / f"{name}.mp4"), LIMITS) == [0.0]


def test_a_cut_between_real_videos(driving, media, tmp_path):
    import av

    frames = []
    for name in ("xdyna_1", "animatex_dance1", "wan_animate"):
        with av.open(str(driving / f"{name}.mp4")) as video:
            for number, frame in enumerate(video.decode(video=0)):
                if number == 15:
                    break
                frames.append(frame.to_ndarray(format="rgb24", width=160, height=90))
    path = media.encode(tmp_path / "joined.mp4", frames)
    assert find_shots(str(path), LIMITS) == pytest.approx([0.0, 15 / 25, 30 / 25])
