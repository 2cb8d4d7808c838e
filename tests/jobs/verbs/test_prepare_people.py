"""`prepare` on videos of people, with stand-ins of DWPose and SAM 2: one row per video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_jobs import options, small_config
from stand_in_onnx import save_pose
from stand_in_weights import fill, forget_digests

from jobs.engine.console import Console
from jobs.engine.spec import JobResult
from jobs.verbs.prepare import prepare
from models.catalogue import CATALOGUE
from models.common.digest import CheckpointError, file_digest
from models.video.encode import write_h264
from models.weights.resolve import place

SIDE, FPS, NUM_FRAMES = 320, 8, 24
MODELS = ("dwpose-detector", "dwpose-pose", "depth-anything-v2-small", "sam2.1-hiera-large")


def film(figures_T: list[list[tuple[int, int]]]) -> np.ndarray:
    """Frames with persons that the stand-ins detect: red squares at multiples of 16, with a blue dot."""
    frames = np.zeros((len(figures_T), SIDE, SIDE, 3), np.uint8)
    for frame, figures in zip(frames, figures_T, strict=True):
        for x, y in figures:
            frame[y : y + 16, x : x + 16, 0] = 255
            frame[y + 6 : y + 10, x + 6 : x + 10] = 0, 0, 255
    return frames


FILMS = {
    "black": film([[]] * NUM_FRAMES),
    "nobody": np.random.default_rng(0)
    .integers(0, 100, (NUM_FRAMES, SIDE // 8, SIDE // 8, 3), dtype=np.uint8)
    .repeat(8, 1)
    .repeat(8, 2),
    "five": film([[(32 + 48 * n, 160) for n in range(5)]] * NUM_FRAMES),
    "leaves": film([[(160, 160)] if t < 5 else [] for t in range(NUM_FRAMES)]),
    "outside": film([[(160, 160)]] * NUM_FRAMES),
}
CLIP = {
    "fps": float(FPS),
    "start_seconds": 0.0,
    "num_frames": NUM_FRAMES,
    "frame_step": 1,
    "width_px": SIDE,
    "height_px": SIDE,
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    outside = [{"object_id": "ball", "seconds": 0.5, "box": [400.0, 10.0, 450.0, 60.0], "points": None}]
    rows = []
    for name, frames in FILMS.items():
        path = folder / f"{name}.mp4"
        write_h264(path, frames, fps=FPS, crf=4)
        prompts: list[Any] = outside if name == "outside" else []
        row = {"clip_id": name, "uri": str(path), "fingerprint": file_digest(path), "objects": prompts}
        rows.append(row | CLIP)
    pq.write_table(pa.Table.from_pylist(rows), folder / "clips.parquet")
    return folder / "clips.parquet"


def run(clips: Path, root: Path, *assignments: str) -> JobResult:
    config = small_config(
        "prepare.preset=dwpose-sam2",
        f"prepare.weights={root / 'weights'}",
        f"prepare.decode.short_side_px={SIDE}",
        *assignments,
    )
    how = options(root, max_failed="100%")
    return prepare(str(clips), str(root / "prepared"), config=config, options=how, console=Console(json_only=True))


@pytest.mark.slow
def test_whatever_is_in_view_is_one_row(
    ray_cluster: None, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_digests(monkeypatch)
    fill(tmp_path / "weights", MODELS)
    # The masks of the stand-in are random, so outcomes that depend on them are not tested.
    off = ("min_keypoints_inside_mask", "max_mask_area_jump", "max_identity_switches", "min_person_share")
    result = run(clips, tmp_path, *(f"prepare.select.{name}=null" for name in off))
    assert result.summary["rows"] == len(FILMS)
    rows = {row["clip_id"]: row for row in pq.read_table(tmp_path / "prepared").to_pylist()}
    assert rows.keys() == FILMS.keys()
    assert (rows["outside"]["status"], rows["outside"]["reason"]) == ("failed", "InvalidRow")
    assert "outside the 320 x 320 picture" in rows["outside"]["message"]
    assert {name: row["status"] for name, row in rows.items() if name != "outside"} == dict.fromkeys(
        ("black", "nobody", "five", "leaves"), "rejected"
    )
    for name in ("black", "nobody"):
        assert rows[name]["reason"] == "LowPoseConfidence"
        assert rows[name]["person_share"] == 0
        assert not any(rows[name]["num_people"])
    assert rows["five"]["num_people"] == [5] * NUM_FRAMES
    assert rows["leaves"]["num_people"] == [1] * 5 + [0] * (NUM_FRAMES - 5)
    assert rows["leaves"]["longest_absence_seconds"] > 2


def damage(name: str, folder: Path) -> None:
    path = place(CATALOGUE[name], CATALOGUE[name].files[-1], folder)
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            "missing",
            r"weights sam2\.1-hiera-large \(`zoetrope weights fetch sam2\.1-hiera-large --weights \S+/weights`",
        ),
        (
            "cut",
            r"\S+/model\.safetensors has \d+ bytes, .* declares \d+; delete it, and fetch sam2\.1-hiera-large again$",
        ),
        ("digest", r"yolox_l\.onnx is not the published yolox_l\.onnx of yzd-v/DWPose"),
    ],
)
def test_wrong_weights_are_one_message_and_no_row(
    fault: str, message: str, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "no-cache"))
    if fault != "digest":
        forget_digests(monkeypatch)
    fill(tmp_path / "weights", MODELS[: -1 if fault == "missing" else None])
    if fault == "cut":
        damage("sam2.1-hiera-large", tmp_path / "weights")
    with pytest.raises(CheckpointError, match=message):
        run(clips, tmp_path)
    assert not list((tmp_path / "prepared").glob("*.parquet"))


@pytest.mark.slow
def test_a_network_of_other_shapes_stops_the_job_with_one_message(
    ray_cluster: None, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_digests(monkeypatch)
    fill(tmp_path / "weights", MODELS)
    entry = CATALOGUE["dwpose-pose"]
    save_pose(place(entry, entry.files[0], tmp_path / "weights"), num_keypoints=17)
    result = run(clips, tmp_path)
    assert result.exit_code == 1
    assert "is of another network: expected outputs" in str(result.summary)
