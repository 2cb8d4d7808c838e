from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from puppet_media import puppet_frames
from toy_animation import spec_of

from models.video.audio import SAMPLE_RATE_HZ
from models.video.side_by_side import GAP_PX
from stages.animate import publish as publish_animation
from stages.animate.publish import PublishAnimationConfig, PublishAnimationStage
from stages.base import Row
from stages.io.clip_reader import DecodeConfig
from stages.io.storage import Storage
from stages.outcome import OutputRefusedError


@pytest.fixture
def row() -> Row:
    frames = puppet_frames(8)
    return {
        "request_id": "a",
        "work_key": "0123abc",
        "animation_frames": frames[:, :64, :64],
        "reference_image": frames[0, :64, :64],
        "fps": 30000 / 1001,
        "driving_frames": frames,
        "driving_keypoints": np.zeros((len(frames), 133, 3), np.float32),
        "driving_audio": None,
        "driving_part": {"times_seconds": None},
        "frame_seconds": np.arange(len(frames)) * 1001 / 30000,
        "model_spec": spec_of(),
        "face_strip": None,
    }


def publish(folder: Path) -> PublishAnimationStage:
    return PublishAnimationStage(PublishAnimationConfig(), Storage(str(folder)), DecodeConfig())


def test_publishes_two_videos_named_by_work_key(row: Row, tmp_path: Path) -> None:
    made = publish(tmp_path)(row)
    assert made["video_uri"] == "_videos/a.0123abc.mp4"
    assert made["side_by_side_uri"] == "_videos/a.0123abc.side-by-side.mp4"
    assert made["video_bytes"] == (tmp_path / made["video_uri"]).stat().st_size
    assert sorted(path.name for path in (tmp_path / "_videos").iterdir()) == [
        "a.0123abc.mp4",
        "a.0123abc.side-by-side.mp4",
    ]
    with av.open(str(tmp_path / made["video_uri"])) as container:
        decoded = list(container.decode(video=0))
        assert container.streams.video[0].codec_context.name == "h264"
        assert not container.streams.audio
    assert [frame.time for frame in decoded] == pytest.approx([i * 1001 / 30000 for i in range(6)], abs=1e-4)
    assert (decoded[0].width, decoded[0].height) == (64, 64)
    with av.open(str(tmp_path / made["side_by_side_uri"])) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(pictures) == 6
    # The minimum height; driving frames keep their aspect ratio.
    assert pictures[0].shape == (256, 256 + GAP_PX + 192 + GAP_PX + 256, 3)
    left, right = pictures[3][:, :256].astype(int), pictures[3][:, -256:].astype(int)
    assert np.abs(left - pictures[0][:, :256]).mean() < 3
    assert np.abs(right - pictures[0][:, -256:]).mean() > 1


def test_a_face_strip_is_a_third_file(row: Row, tmp_path: Path) -> None:
    assert publish(tmp_path)(row)["face_strip_uri"] is None
    strip = np.full((20, 30, 3), (250, 100, 5), np.uint8)
    made = publish(tmp_path)({**row, "face_strip": strip})
    assert made["face_strip_uri"] == "_videos/a.0123abc.face.webp"
    picture = Image.open(tmp_path / made["face_strip_uri"]).convert("RGB")
    assert np.abs(np.asarray(picture).astype(int) - strip).max() < 8


def test_the_same_row_gives_the_same_bytes(row: Row, tmp_path: Path) -> None:
    contents = set()
    for name in ("a", "b"):
        made = publish(tmp_path / name)(row)
        contents.add(tuple((tmp_path / name / made[uri]).read_bytes() for uri in ("video_uri", "side_by_side_uri")))
    assert len(contents) == 1


def test_sound_is_copied_to_the_animation(row: Row, tmp_path: Path) -> None:
    tone = np.full((round(6 * 1001 / 30000 * SAMPLE_RATE_HZ), 2), 1000, np.int16)
    made = publish(tmp_path)({**row, "driving_audio": tone})
    with av.open(str(tmp_path / made["video_uri"])) as container:
        assert container.streams.audio[0].codec_context.name == "aac"


def test_uneven_times_are_those_of_the_driving_frames(row: Row, tmp_path: Path) -> None:
    seconds = [7.0, 7.1, 7.13, 7.8, 8.0, 9.5]
    made = publish(tmp_path)({**row, "driving_part": {"times_seconds": seconds}, "frame_seconds": np.array(seconds)})
    for name in ("video_uri", "side_by_side_uri"):
        with av.open(str(tmp_path / made[name])) as container:
            times = [frame.time for frame in container.decode(video=0)]
        assert times == pytest.approx([second - 7.0 for second in seconds], abs=1e-4)


def test_one_frame_is_a_video(row: Row, tmp_path: Path) -> None:
    short = {name: row[name][:1] for name in ("animation_frames", "driving_frames", "driving_keypoints")}
    made = publish(tmp_path)({**row, **short})
    with av.open(str(tmp_path / made["video_uri"])) as container:
        assert len(list(container.decode(video=0))) == 1


def test_full_disk_is_not_an_outcome_of_the_row(row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OutputRefusedError, match=r"ENOSPC: .*No space left"):
        publish(tmp_path)(row)
    assert not list((tmp_path / "_videos").iterdir())


def test_undecodable_video_is_not_published(row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short_write(path: Path, frames: Any, **options: Any) -> int:
        return publish_animation_write(path, list(frames)[:-1], **options) + 1

    publish_animation_write = publish_animation.write_h264
    monkeypatch.setattr(publish_animation, "write_h264", short_write)
    with pytest.raises(RuntimeError, match="has 5 frames"):
        publish(tmp_path)(row)
    assert not (tmp_path / "_videos").exists()


@pytest.mark.parametrize("bad", [{"crf": 60}, {"min_side_by_side_px": 255}, {"max_side_by_side_px": 64}])
def test_rejects_invalid_settings(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="got"):
        PublishAnimationConfig(**bad)
