from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from puppet_media import NUM_FRAMES, SIZE_PX, puppet_frames
from toy_animation import scene_model, spec_of

from models.perception.embedded import EmbeddedFigure
from models.video.encode import write_h264
from stages.animate.driving import DrivingConfig, DrivingStage
from stages.animate.paste_back import full_size_frames, set_into
from stages.base import Row
from stages.io.clip_reader import ClipReader, DecodeConfig
from stages.outcome import BadRow


@pytest.fixture
def reader() -> Iterator[ClipReader]:
    reader = ClipReader(DecodeConfig(short_side_px=32))
    yield reader
    reader.close()


def part_of(uri: Path, **changes: Any) -> Row:
    stage = DrivingStage(DrivingConfig())
    stage.open()
    empty = dict.fromkeys(("clip", "start_seconds", "duration_seconds", "width_px", "height_px"))
    row = stage({**empty, "driving_uri": str(uri), "model_spec": spec_of(scene_model()), **changes})
    stage.close()
    return row


@pytest.mark.parametrize("pieces", [1, 4, 100])
def test_pieces_are_the_frames_of_the_video(reader: ClipReader, driving: Path, pieces: int) -> None:
    row = part_of(driving, start_seconds=0.25)
    one_frame = 3 * SIZE_PX[0] * SIZE_PX[1]
    frames = list(
        full_size_frames(reader, row["decoded_part"], row["decoded_seconds"], piece_bytes=pieces * one_frame + 5)
    )
    assert len(frames) == len(row["decoded_frames"]) == NUM_FRAMES - 2
    # Frames of perception are not larger than the video, so these are the same.
    np.testing.assert_array_equal(np.stack(frames), row["decoded_frames"])


def test_other_frames_than_before_are_noticed(reader: ClipReader, driving: Path) -> None:
    row = part_of(driving)
    with pytest.raises(BadRow, match=r"SourceChanged: .*frames 0 to 5 are no longer those at 0.125 s"):
        list(full_size_frames(reader, row["decoded_part"], row["decoded_seconds"] + 0.125))


def test_odd_sides_become_even(reader: ClipReader, tmp_path: Path) -> None:
    row = part_of(write_odd(tmp_path / "odd.mkv"))
    assert (row["decoded_part"]["width_px"], row["decoded_part"]["height_px"]) == (51, 35)
    frames = list(full_size_frames(reader, row["decoded_part"], row["decoded_seconds"]))
    assert {frame.shape for frame in frames} == {(36, 52, 3)}


def write_odd(path: Path) -> Path:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=8)
        stream.width, stream.height, stream.pix_fmt = 51, 35, "yuv444p"
        for value in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((35, 51, 3), 60 * value, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def row() -> Row:
    frames = puppet_frames(8, num_frames=3)
    mask = np.zeros((3, 64, 48), bool)
    mask[:2, 20:40, 20:30] = True
    keypoints = EmbeddedFigure().keypoints(frames) * np.float32([0.5, 0.5, 1])
    keypoints[2] = 0
    return {
        "animation_frames": np.full((3, 64, 48, 3), 255, np.uint8),
        "agnostic_mask": mask,
        "object_mask": np.zeros_like(mask),
        "skeleton_keypoints": keypoints,
        "reference_mask": None,
        "reference_keypoints": keypoints[0],
        "paste_back": None,
    }


def test_original_pixels_stay_away_from_the_character(row: Row) -> None:
    originals = puppet_frames(8, num_frames=3)
    first, _, last = set_into(row, originals)
    assert (first[44:76, 44:56] == 255).all()
    changed = (first != originals[0]).any(axis=2)
    assert 0.1 < changed.mean() < 0.9
    np.testing.assert_array_equal(first[:12], originals[0][:12])
    # A frame without the character stays as it is.
    np.testing.assert_array_equal(last, originals[2])


def test_the_visible_pixels_of_objects_stay_the_originals(row: Row) -> None:
    originals = puppet_frames(8, num_frames=3)
    objects = np.zeros_like(row["object_mask"])
    objects[0, 24:32, 22:28] = True
    first, second, _ = set_into({**row, "object_mask": objects}, originals)
    np.testing.assert_array_equal(first[50:62, 46:54], originals[0][50:62, 46:54])
    assert (first[44:46, 44:56] == 255).all()
    assert (second[52:60, 48:52] == 255).all()


def test_the_characters_reach_comes_from_its_mask(row: Row) -> None:
    from models.compositing.paste import Reach, silhouettes

    originals = puppet_frames(8, num_frames=3)
    reach = {
        share: silhouettes(row["reference_keypoints"][None], (64, 48), Reach(head=share, limbs=share))[0]
        for share in (0.02, 0.2)
    }
    thin, thick = (
        (next(set_into({**row, "reference_mask": mask}, originals)) != originals[0]).sum() for mask in reach.values()
    )
    assert thick > 1.2 * thin


def test_paste_back_can_be_declined(row: Row) -> None:
    frames = list(set_into({**row, "paste_back": False}, puppet_frames(8, num_frames=3)))
    assert {frame.shape for frame in frames} == {(*SIZE_PX, 3)}
    assert all((frame == 255).all() for frame in frames)


def test_the_number_of_frames_must_agree(row: Row, tmp_path: Path) -> None:
    write_h264(tmp_path / "a.mp4", puppet_frames(8, num_frames=2), fps=8)
    with pytest.raises(ValueError, match="zip"):
        list(set_into(row, puppet_frames(8, num_frames=2)))
