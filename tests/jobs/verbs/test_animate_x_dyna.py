"""A job of X-Dyna from published files of small networks: from the table of requests to the videos."""

from __future__ import annotations

from dataclasses import replace
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
from puppet_media import NUM_ABSENT, NUM_FRAMES, SIZE_PX, WITH_FACE, write_driving, write_face_media
from small_jobs import options, small_config
from stand_in_x_dyna import save_encoders, save_published, small_model

from jobs.engine.console import Console
from jobs.verbs.animate import animate
from models.systems import SYSTEMS
from pipelines.engine.schema import REQUEST_COLUMNS

LONG = 20
"""More frames than a window of the model."""


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_face_media(tmp_path_factory.mktemp("media"))
    write_driving(root / "long.mp4", seed=WITH_FACE, num_frames=LONG)
    return root


def frames_of(path: Path) -> NDArray[np.uint8]:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_videos_are_made_from_the_published_files(
    ray_cluster: None, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, out = tmp_path / "weights", tmp_path / "results"
    save_published(weights)
    save_encoders(weights)
    model = small_model()
    variant = replace(model.variant, short_side_px=SIZE_PX[1])
    monkeypatch.setitem(SYSTEMS, "x-dyna", replace(model.system, variants={"x-dyna": variant}))
    requests: dict[str, dict[str, Any]] = {
        "video": {},
        "again": {},
        "seed": {"seed": 2},
        "body": {"controls": "body"},
        "face": {"controls": "face"},
        "long": {"driving_uri": str(media / "long.mp4")},
        "leaves": {"driving_uri": str(media / "leaves.mp4")},
        "small": {"driving_uri": str(media / "small.mp4")},
        "bad-small": {"driving_uri": str(media / "small.mp4"), "controls": "both"},
    }
    base = {"reference_uri": str(media / "a.png"), "driving_uri": str(media / "a.mp4"), "seed": 1, "model": "x-dyna"}
    table = [{**base, "request_id": name, **row} for name, row in requests.items()]
    schema = pa.schema(list(REQUEST_COLUMNS.items()))
    pq.write_table(pa.Table.from_pylist(table, schema=schema), tmp_path / "requests.parquet")
    result = animate(
        str(out),
        requests=str(tmp_path / "requests.parquet"),
        config=small_config(f"animate.animate.weights={weights}"),
        options=options(tmp_path, max_failed="100%"),
        console=Console(json_only=True),
    )
    rows = {row["request_id"]: row for row in plain_rows(pyarrow.dataset.dataset(out).to_table())}
    made = {name: row for name, row in rows.items() if row["status"] == "ok"}
    assert {name: row["reason"] for name, row in rows.items() if name not in made} == {"bad-small": "NoFace"}, {
        name: row["message"] for name, row in rows.items()
    }
    assert (result.exit_code, len(made)) == (0, len(requests) - 1)
    facts = ("applied_controls", "face_rule", "frames_without_face")
    windows = {
        name: [each for each in row["fallbacks"] if each.startswith("short_window")] for name, row in made.items()
    }
    short, long = [f"short_window={NUM_FRAMES}"], []
    assert {name: (*(row[fact] for fact in facts), windows[name]) for name, row in made.items()} == {
        "video": ("both", "patches", 0, short),
        "again": ("both", "patches", 0, short),
        "seed": ("both", "patches", 0, short),
        "face": ("face", "patches", 0, short),
        "body": ("body", "not requested", None, short),
        "long": ("both", "patches", 0, long),
        "leaves": ("both", "patches", NUM_ABSENT, [f"short_window={NUM_FRAMES + NUM_ABSENT}"]),
        "small": ("body", "no face: too small", NUM_FRAMES, short),
    }
    videos = {name: frames_of(out / row["video_uri"]) for name, row in made.items()}
    assert {name: video.shape for name, video in videos.items()} == {
        name: ({"long": LONG, "leaves": NUM_FRAMES + NUM_ABSENT}.get(name, NUM_FRAMES), *SIZE_PX, 3) for name in made
    }
    np.testing.assert_array_equal(videos["again"], videos["video"])
    for other in ("seed", "body", "face"):
        assert (videos[other] != videos["video"]).any(), other
    with Image.open(out / made["video"]["face_strip_uri"]) as strip:
        assert np.asarray(strip).any()
    page = (out / "_report" / "report.html").read_text()
    assert page.count('class="face"') == sum(row["face_strip_uri"] is not None for row in made.values())
