"""Requests for held-out puppets, and their true videos."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from jobs.engine.console import Console
from jobs.verbs.heldout import TASKS, HeldoutRequestsConfig, draw_heldout, gets
from models.common.digest import CheckpointError
from models.systems import find_model, model_names
from models.weights.resolve import shipped_path
from stages.animate.driving import part_of_video
from stages.io.clip_reader import ClipReader, DecodeConfig

SMALL = HeldoutRequestsConfig(num_pairs=1, side_px=64, duration_seconds=0.5)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("heldout")
    draw_heldout(out, SMALL, console=Console(json_only=True))
    return out


def _rows(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(out / "requests.parquet").to_pylist()
    return rows


def _grey(picture_HWC: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture_HWC, cv2.COLOR_RGB2GRAY).astype(int)


def test_every_model_that_ships_has_requests(drawn: Path) -> None:
    rows = _rows(drawn)
    shipped = [find_model(name).variant for name in model_names() if find_model(name).variant.ships]
    assert {row["task"] for row in rows} == set(TASKS)
    assert {row["model"] for row in rows} == {name for name in model_names() if find_model(name).variant.ships}
    assert (
        len({row["request_id"] for row in rows})
        == len(rows)
        == sum(gets(task, variant) for task in TASKS for variant in shipped)
    )
    for row in rows:
        keeps_scene = find_model(row["model"]).variant.keeps_scene
        assert keeps_scene == (row["task"] == "scenes") == (row["objects"] is not None)


def test_trained_models_have_requests_for_what_they_read(tmp_path: Path) -> None:
    trained = str(shipped_path(find_model("animate-anyone-2-puppets").variant.weights).parent)
    small = replace(SMALL, tasks=("figures", "scenes"), models=(trained, "x-dyna-puppets"))
    draw_heldout(tmp_path, small, console=Console(json_only=True))
    (row,) = _rows(tmp_path)
    assert (row["model"], row["task"]) == (trained, "scenes")
    assert row["request_id"] == "scenes-00000.animate-anyone-2-puppets.checkpoints"
    with pytest.raises(ValueError, match="no task of figures is for x-dyna-puppets"):
        draw_heldout(tmp_path, replace(small, tasks=("figures",), models=("x-dyna-puppets",)), console=Console())
    with pytest.raises(CheckpointError, match="nowhere holds no trained model"):
        draw_heldout(tmp_path, replace(small, models=("/nowhere",)), console=Console())


def test_videos_have_the_size_of_the_request_and_one_length(drawn: Path) -> None:
    reader = ClipReader(DecodeConfig(short_side_px=1 << 14, multiple=1))
    try:
        for row in _rows(drawn):
            size = row["height_px"], row["width_px"]
            assert size == SMALL.size_px(row["task"])
            for column in ("driving_uri", "truth_uri"):
                frames = reader.frames(part_of_video(reader, row[column])).frames
                assert frames.shape == (SMALL.num_frames, *size, 3)
            picture = np.asarray(Image.open(row["reference_uri"]))
            assert picture.shape == (*size, 3)
            if row["task"] != "scenes":
                # The true video begins with the picture; the rest is the loss of H.264, which halves colour's size.
                first = reader.frames(part_of_video(reader, row["truth_uri"])).frames[0]
                assert np.abs(_grey(first) - _grey(picture)).mean() < 3
    finally:
        reader.close()


def test_drawing_again_writes_the_same_bytes(drawn: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    draw_heldout(
        again,
        HeldoutRequestsConfig(tasks=("scenes",), num_pairs=1, side_px=64, duration_seconds=0.5),
        console=Console(json_only=True),
    )
    for path in again.rglob("*scenes*"):
        same = drawn / path.relative_to(again)
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(same.read_bytes()).digest()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"tasks": ("dances",)}, "unknown task 'dances'"),
        ({"num_pairs": 0}, "a pair or more"),
        ({"side_px": 100}, "multiple of 8"),
    ],
)
def test_invalid_settings_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HeldoutRequestsConfig(**changed)
