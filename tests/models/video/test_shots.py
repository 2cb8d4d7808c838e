from __future__ import annotations

import math

import numpy as np
import pytest

from models.video.container import MediaLimits
from models.video.decode import decode_clip
from models.video.errors import MediaError
from models.video.probe import probe
from models.video.shots import find_cuts, find_shots
from models.video.window import ClipWindow

LIMITS = MediaLimits()


def starts(path, limits):
    return [shot.start_seconds for shot in find_shots(path, limits, end_seconds=math.inf)]


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
    assert starts(str(path), LIMITS) == pytest.approx([0.0, 20 / 25, 45 / 25])


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
    assert starts(str(cases["late_start"].path), LIMITS) == [9.0]


def test_damage_does_not_stop_shot_detection(media, tmp_path):
    path = media.encode(tmp_path / "a.mp4", [*scene(1, 20), *scene(2, 20)], options={"crf": "28", "g": "10"})
    data = path.read_bytes()
    start = media.find_box(data, b"mdat") + 2000
    path.write_bytes(media.flip_bytes(data, count=5, seed=1, start=start, stop=start + 1500))
    assert starts(str(path), LIMITS)[-1] == pytest.approx(20 / 25)


def test_a_file_without_decodable_frames_is_an_error(cases):
    with pytest.raises(MediaError, match="DecodeError"):
        starts(str(cases["no_keyframe"].path), LIMITS)


@pytest.mark.parametrize("name", ["xdyna_1", "animatex_dance1", "wan_animate"])
def test_real_dances_are_one_shot_each(driving, name):
    assert starts(str(driving / f"{name}.mp4"), LIMITS) == [0.0]


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
    assert starts(str(path), LIMITS) == pytest.approx([0.0, 15 / 25, 30 / 25])


def test_a_change_of_size_ends_a_shot(media, tmp_path):
    wide = media.encode(tmp_path / "wide.ts", scene(1, 20), container="mpegts")
    tall = [np.ascontiguousarray(np.rot90(frame)) for frame in scene(1, 20)]
    later = media.encode(
        tmp_path / "tall.ts", tall, container="mpegts", container_options={"output_ts_offset": str(20 / 25)}
    )
    path = tmp_path / "both.ts"
    path.write_bytes(wide.read_bytes() + later.read_bytes())
    info = probe(str(path), LIMITS)
    shots = find_shots(str(path), LIMITS, end_seconds=info.start_seconds + info.duration_seconds)
    height, width = scene(1, 1)[0].shape[:2]
    assert [(shot.width_px, shot.height_px) for shot in shots] == [(width, height), (height, width)]
    assert shots[0].end_seconds == shots[1].start_seconds
    for shot in shots:
        window = ClipWindow(start_seconds=shot.start_seconds, num_frames=10, frame_step=1, fps=25.0)
        clip = decode_clip(str(path), window, short_side_px=1000, multiple=1, limits=LIMITS)
        assert clip.frames.shape[1:3] == (shot.height_px, shot.width_px)
    window = ClipWindow(start_seconds=shots[0].start_seconds, num_frames=30, frame_step=1, fps=25.0)
    with pytest.raises(MediaError, match=r"SizeChange: .* pictures change from .* within the window"):
        decode_clip(str(path), window, short_side_px=1000, multiple=1, limits=LIMITS)


def test_a_gap_without_frames_ends_a_shot(media, tmp_path):
    ticks = [*range(0, 600, 40), *range(60_000, 60_600, 40)]
    path = str(media.encode(tmp_path / "a.mp4", scene(1, 30), ticks_ms=ticks))
    info = probe(path, LIMITS)
    assert info.fps == pytest.approx(25.0)
    shots = find_shots(path, LIMITS, end_seconds=info.start_seconds + info.duration_seconds)
    times = [second for shot in shots for second in (shot.start_seconds, shot.end_seconds)]
    assert times == pytest.approx([0.0, 0.6, 60.0, 60.6], abs=2e-3)
