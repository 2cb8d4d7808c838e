"""Animate with a toy model that sets the character into the driving video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from dataset_rows import plain_rows
from numpy.typing import NDArray
from PIL import Image
from puppet_media import FPS, NUM_FRAMES, SIZE_PX, puppet_frames, write_driving, write_reference, write_scenery
from small_jobs import options, small_config
from small_prepared import write_prepared
from toy_animation import ToySystem, scene_model, toy_model

from jobs.engine.console import Console
from jobs.engine.spec import JobResult
from jobs.verbs.animate import animate
from models.systems import SYSTEMS
from models.video.encode import write_h264
from pipelines.engine.schema import REQUEST_COLUMNS

Rows = dict[str, dict[str, Any]]
GONE = 2
"""Frames without the character, at the end of `leaves.mp4`."""


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("media")
    write_reference(root / "a.png")
    Image.new("RGB", (96, 128), (90, 120, 90)).save(root / "nobody.png")
    write_driving(root / "a.mp4", audio=True)
    write_scenery(root / "nobody.mp4")
    empty = np.full((GONE, *SIZE_PX, 3), 128, np.uint8)
    write_h264(root / "leaves.mp4", np.concatenate([puppet_frames(8), empty]), fps=FPS)
    write_prepared(root, num_clips=3, num_frames=4, size_px=(96, 64), scene=True)
    return root


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SYSTEMS, "toys", ToySystem((scene_model(), toy_model())))


def clip_with_objects(media: Path) -> str:
    rows = pq.read_table(media / "prepared" / "rows-000000.parquet").to_pylist()
    return str(next(row["clip_id"] for row in rows if row["object_masks"]))


def run(media: Path, out: Path, rows: Rows, *settings: str) -> JobResult:
    base = {"reference_uri": str(media / "a.png"), "driving_uri": str(media / "a.mp4"), "model": "scene"}
    table = pa.Table.from_pylist(
        [{**base, "request_id": name, **row} for name, row in rows.items()],
        schema=pa.schema(list(REQUEST_COLUMNS.items())),
    )
    pq.write_table(table, out.with_suffix(".parquet"))
    return animate(
        str(out),
        requests=str(out.with_suffix(".parquet")),
        config=small_config(*settings),
        options=options(out.parent, max_failed="100%"),
        console=Console(json_only=True),
    )


def rows_of(dataset: Path) -> Rows:
    table = pyarrow.dataset.dataset(dataset).to_table()
    return {row["request_id"]: row for row in plain_rows(table)}


def video(path: Path) -> NDArray[np.uint8]:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


BALL = [{"object_id": "ball", "seconds": 0.0, "box": [0.0, 0.0, 96.0, 128.0], "points": None}]


def test_characters_are_set_into_videos_and_bad_input_has_a_reason(
    ray_cluster: None, media: Path, tmp_path: Path
) -> None:
    prepared = {"driving_uri": None, "clips_uri": str(media / "prepared"), "clip_id": clip_with_objects(media)}
    good: Rows = {
        "video": {},
        "placed": {"character_scale": 0.6, "offset_x": -0.2, "paste_back": False},
        "prompted": {"objects": BALL, "keep_objects": True},
        "prepared": {**prepared, "keep_objects": True},
        "leaves": {"driving_uri": str(media / "leaves.mp4")},
        "other-model": {"model": "toy"},
    }
    bad: dict[str, tuple[dict[str, Any], str]] = {
        "no-driver": ({"driving_uri": str(media / "nobody.mp4")}, "NoPerson"),
        "no-reference": ({"reference_uri": str(media / "nobody.png")}, "NoPerson"),
        "no-prompt": ({"keep_objects": True}, "NoPrompt"),
        "no-scene": ({"model": "toy", "long_video": "chain"}, "InvalidRow"),
    }
    out = tmp_path / "results"
    done = run(media, out, good | {name: row for name, (row, _) in bad.items()})
    rows = rows_of(out)
    assert {name: row["reason"] for name, row in rows.items() if row["status"] != "ok"} == {
        name: reason for name, (_, reason) in bad.items()
    }
    assert done.summary["ok"] == len(good)

    # Size, frames and sound of the driving video; its pixels far from the character.
    row, original = rows["video"], video(media / "a.mp4")
    result = video(out / row["video_uri"])
    assert result.shape == original.shape == (NUM_FRAMES, *SIZE_PX, 3)
    assert (row["video_width_px"], row["video_height_px"]) == (SIZE_PX[1], SIZE_PX[0])
    assert (row["canvas_width_px"], row["canvas_height_px"]) == (64, 88)
    assert (row["has_audio"], row["placement_rule"], row["kept_objects"]) == (True, "feet", [])
    with av.open(str(out / row["video_uri"])) as container:
        assert container.streams.audio
    difference = np.abs(result.astype(int) - original).mean(axis=(0, 2, 3))
    assert difference[:8].mean() < 3 < difference[40:90].mean()
    # The toy brightens the scene, which shows where nothing is pasted back.
    declined = video(out / rows["placed"]["video_uri"])
    assert (declined[:, :8].astype(int) - original[:, :8]).mean() > 3

    assert rows["prompted"]["kept_objects"] == ["ball"]
    assert rows["prepared"]["kept_objects"]
    assert rows["prepared"]["num_frames"] == 4
    assert not rows["prepared"]["has_audio"]
    leaves = rows["leaves"]
    assert (leaves["num_frames"], leaves["frames_without_character"]) == (NUM_FRAMES + GONE, GONE)
    unchanged = video(out / leaves["video_uri"])[-GONE:].astype(int) - video(media / "leaves.mp4")[-GONE:]
    assert np.abs(unchanged).mean() < 3
    other = rows["other-model"]
    assert (other["has_audio"], other["placement_rule"], other["scene_weights"]) == (False, None, None)
    assert "character-mask" in row["scene_weights"]

    # The report plays all of them, and nothing is left to do.
    page = (out / "_report" / "report.html").read_text()
    assert page.count("<video ") == len(good)
    assert run(media, out, good | {name: row for name, (row, _) in bad.items()}).summary["rows_run"] == 0
