from __future__ import annotations

import hashlib
from collections.abc import Iterator

import fsspec
import hostile_media as media
import pytest

from models.video.container import MediaLimits
from models.video.sandbox import SandboxConfig
from stages.ingest.probe import ProbeConfig, ProbeStage
from stages.outcome import BadRow, Reason


@pytest.fixture(scope="module")
def stage() -> Iterator[ProbeStage]:
    limits = MediaLimits(max_duration_seconds=3600)
    probe_stage = ProbeStage(ProbeConfig(allowed_schemes=("file", "memory"), sandbox=SandboxConfig(limits=limits)))
    probe_stage.open()
    yield probe_stage
    probe_stage.close()


def test_a_row_gets_the_facts(stage, tmp_path):
    path = media.encode(tmp_path / "a.mp4", media.numbered_frames(12))
    path.write_bytes(media.set_rotation(path.read_bytes(), 90))
    row = stage({"video_id": "a", "uri": str(path)})
    assert row == {
        "video_id": "a",
        "uri": str(path),
        "size_bytes": path.stat().st_size,
        "fingerprint": "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest(),
        "codec": "h264",
        "pixel_format": "yuv420p",
        "width_px": 64,
        "height_px": 96,
        "rotation_degrees": 270,
        "fps": 25.0,
        "variable_frame_rate": False,
        "num_frames": 12,
        "start_seconds": 0.0,
        "duration_seconds": pytest.approx(0.48),
        "has_audio": False,
        "mirrored": False,
        "interlaced": False,
        "colour": "unspecified/unspecified/unspecified/unspecified",
        "frame_conversion": None,
        "shot_starts_seconds": [0.0],
        "shot_ends_seconds": [pytest.approx(0.48)],
        "shot_widths_px": [64],
        "shot_heights_px": [96],
    }


def test_the_same_content_has_the_same_fingerprint_wherever_it_is(stage, tmp_path):
    path = media.encode(tmp_path / "a.mp4", media.numbered_frames(4))
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe("/a.mp4", path.read_bytes())
    here, there = stage({"uri": str(path)}), stage({"uri": "memory://a.mp4"})
    assert {**here, "uri": ""} == {**there, "uri": ""}
    filesystem.store.clear()


def test_a_store_that_names_versions_gives_the_fingerprint(stage, tmp_path, monkeypatch):
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe("/b.mp4", media.encode(tmp_path / "b.mp4", media.numbered_frames(4)).read_bytes())
    info = type(filesystem).info
    monkeypatch.setattr(type(filesystem), "info", lambda self, path, **kw: {**info(self, path, **kw), "ETag": '"v1"'})
    assert stage({"uri": "memory://b.mp4"})["fingerprint"] == "etag:v1"
    filesystem.store.clear()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.mp4", b"", Reason.NOT_A_VIDEO),
        ("page.mp4", b"<html></html>", Reason.NOT_A_VIDEO),
        ("gone.mp4", None, Reason.NOT_FOUND),
    ],
)
def test_what_is_wrong_with_the_file_is_the_outcome(stage, tmp_path, name, content, reason):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadRow) as caught:
        stage({"uri": str(tmp_path / name)})
    assert caught.value.reason == reason
    assert name in caught.value.message


def test_messages_name_the_uri_and_not_the_temporary_copy(stage):
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe("/page.mp4", b"<html></html>")
    with pytest.raises(BadRow, match=r"NotAVideo: memory://page.mp4 opens as none of"):
        stage({"uri": "memory://page.mp4"})
    filesystem.store.clear()
