from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from jobs.engine.console import Console
from jobs.verbs.demo import (
    CHARACTERS,
    NUM_PAIRS,
    NUM_SCENES,
    PORTRAIT_SIZE_PX,
    PORTRAITS,
    draw_requests,
)
from models.systems import DEFAULT_MODEL, find_model, model_names, shipped_models

pytestmark = pytest.mark.slow

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def requests(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    rows: Rows = pq.read_table(draw_requests(tmp_path_factory.mktemp("demo"), Console(json_only=True))).to_pylist()
    return rows


def test_requests_of_the_demo_cover_every_model_that_ships(requests: Rows) -> None:
    pictures, scenes, faces = shipped_models(), shipped_models(keeps_scene=True), shipped_models(reads_face=True)
    shipped = {name for name in model_names() if find_model(name).variant.ships}
    assert {row["model"] for row in requests} == {*pictures, *scenes, *faces} == shipped
    num_portraits = len(PORTRAITS) * (1 + len(faces)) + len(faces)
    assert len(requests) == NUM_PAIRS * len(pictures) + NUM_SCENES * len(scenes) + num_portraits
    assert len({row["request_id"] for row in requests}) == len(requests)
    for row in requests:
        assert Path(row["reference_uri"]).is_file()
        assert Path(row["driving_uri"]).is_file()
        if row["model"] in scenes:
            assert "human" in Path(row["reference_uri"]).name
            assert row["objects"]
            assert all(len(prompt["box"]) == 4 for prompt in row["objects"])
        else:
            assert row["objects"] is None
    replaced = {Path(row["reference_uri"]) for row in requests if row["model"] in scenes}
    assert len(replaced) == NUM_SCENES == len(CHARACTERS["human"])


def test_portraits_are_also_animated_without_faces(requests: Rows) -> None:
    (reader,) = shipped_models(reads_face=True)
    first, *others = ((f"portrait-{seed}.png", f"talk-{seed}.mp4") for seed in PORTRAITS)
    talking = [row for row in requests if Path(row["driving_uri"]).name.startswith("talk-")]
    made = {
        (Path(row["reference_uri"]).name, Path(row["driving_uri"]).name, row["model"], row["controls"])
        for row in talking
    }
    assert made == {
        *((*files, model, None) for files in (first, *others) for model in (DEFAULT_MODEL, reader)),
        (*first, reader, "body"),
    }
    for row in talking:
        assert (row["height_px"], row["width_px"]) == PORTRAIT_SIZE_PX
        with Image.open(row["reference_uri"]) as picture:
            assert picture.size == PORTRAIT_SIZE_PX[::-1]
