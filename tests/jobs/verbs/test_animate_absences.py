"""Animate with driving videos that lose their character, and with two characters."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from dataset_rows import plain_rows
from PIL import Image
from puppet_media import FPS, puppet_frames, side_by_side_puppets, write_reference
from small_jobs import options, small_config
from toy_animation import ToySystem, toy_model

from jobs.engine.console import Console
from jobs.verbs.animate import animate
from models.systems import SYSTEMS
from models.video.encode import write_h264
from pipelines.engine.schema import REQUEST_COLUMNS

NUM_FRAMES = 18


def write_requests(root: Path) -> str:
    frames = puppet_frames(8, num_frames=NUM_FRAMES)
    for name, absent in {"gap": slice(6, 9), "away": slice(4, 11)}.items():
        seen = frames.copy()
        seen[absent] = 90
        write_h264(root / f"{name}.mp4", seen, fps=FPS)
    both = side_by_side_puppets(3, 8, num_frames=6)
    write_h264(root / "two.mp4", both, fps=12)
    Image.fromarray(both[0]).save(root / "two.png")
    write_reference(root / "one.png")
    rows = [
        {"request_id": f"{picture}-{driving}", "reference_uri": f"{picture}.png", "driving_uri": f"{driving}.mp4"}
        for picture, driving in (("one", "gap"), ("one", "away"), ("one", "two"), ("two", "gap"))
    ]
    table = pa.Table.from_pylist([{**row, "model": "toy"} for row in rows], schema=pa.schema(REQUEST_COLUMNS))
    pq.write_table(table, root / "requests.parquet")
    return str(root / "requests.parquet")


def test_absences_and_torn_skeletons_are_accounted_for(
    ray_cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SYSTEMS, "toys", ToySystem((toy_model(),)))
    requests, out = write_requests(tmp_path), tmp_path / "results"

    config = small_config("animate.driving_span.absence=cut")
    animate(str(out), requests=requests, config=config, options=options(tmp_path), console=Console(json_only=True))
    rows = {row["request_id"]: row for row in plain_rows(pyarrow.dataset.dataset(out).to_table())}

    def num_frames(row: dict[str, object]) -> int:
        with av.open(str(out / str(row["video_uri"]))) as container:
            return sum(1 for _ in container.decode(video=0))

    outcomes = {name: (row["status"], row["stage"], row["reason"]) for name, row in rows.items()}
    assert outcomes == {
        "one-gap": ("ok", None, None),
        "one-away": ("ok", None, None),
        "one-two": ("rejected", "driving_span", "ImplausiblePose"),
        "two-gap": ("rejected", "reference_pose", "ImplausiblePose"),
    }
    gap = rows["one-gap"]
    assert (gap["bridged_frames"], gap["num_frames"], num_frames(gap)) == (3, NUM_FRAMES, NUM_FRAMES)
    assert "bridged_frames=3" in gap["fallbacks"]
    assert gap["longest_absence_seconds"] == pytest.approx(3 / FPS)
    assert rows["one-two"]["implausible_share"] > 0.5

    away = rows["one-away"]
    assert (away["cut_start_frames"], away["cut_end_frames"]) == (11, 0)
    assert away["num_frames"] == num_frames(away) == NUM_FRAMES - 11
    np.testing.assert_allclose(away["frame_seconds"], np.arange(11, NUM_FRAMES) / FPS)
