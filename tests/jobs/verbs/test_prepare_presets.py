"""`prepare` with every preset, on real videos; weights are stand-ins."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from dataset_rows import plain_rows
from small_jobs import options, small_config
from stand_in_weights import fill, forget_digests

from jobs.engine.console import Console
from jobs.engine.presets import PRESETS
from jobs.verbs.ingest import ingest
from jobs.verbs.prepare import prepare
from models.catalogue import CATALOGUE

SMALL = ("ingest.cut.num_frames=8", "ingest.cut.target_fps=4", "prepare.decode.short_side_px=96")
VIDEOS = ("animatex_dance1.mp4", "xdyna_1.mp4")
MODELS = [
    "people",
    "dwpose-detector",
    "dwpose-pose",
    "rtmw-l-384",
    "sapiens-pose-133-1b",
    "sapiens2-pose-1b",
    "sapiens-depth-1b",
    "depth-anything-v2-small",
    "sam2.1-hiera-large",
    "sam3",
]


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_digests(monkeypatch)


@pytest.fixture(scope="module")
def corpus(ray_cluster: None, shared_media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("people")
    (root / "videos").mkdir()
    for name in VIDEOS:
        shutil.copy(shared_media / "driving" / name, root / "videos" / name)
    ingested = ingest(
        [str(root / "videos")],
        str(root),
        objects=None,
        config=small_config(*SMALL),
        options=options(root),
        console=Console(json_only=True),
    )
    assert ingested.exit_code == 0
    fill(root / "weights", MODELS)
    return root


def rows(dataset: Path) -> list[dict[str, Any]]:
    tables = [pq.read_table(path) for path in sorted(dataset.glob("*.parquet"))]
    return [row for table in tables for row in plain_rows(table)]


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_every_clip_is_accounted_for(preset: str, corpus: Path) -> None:
    config = small_config(
        *SMALL,
        f"prepare.preset={preset}",
        f"prepare.weights={corpus / 'weights'}",
        "prepare.allow_torchscript=true",
    )
    out = corpus / preset
    console = Console(json_only=True)
    done = prepare(str(corpus / "clips"), str(out), config=config, options=options(corpus, limit=3), console=console)
    summary = done.summary
    assert done.exit_code == 0
    assert summary["rows"] == summary["ok"] + summary["rejected"] == 3
    used = {name.split("/")[0] for row in rows(out) for name in row["weights"]}
    expected = {
        part
        for section in (config.prepare.pose, config.prepare.depth, config.prepare.character_mask)
        for part in section.parts
    }
    assert used & CATALOGUE.keys() == expected
    assert all(row["seconds_by_stage"].keys() >= {"pose", "depth", "character_mask"} for row in rows(out))
    again = prepare(str(corpus / "clips"), str(out), config=config, options=options(corpus, limit=3), console=console)
    assert again.summary["rows_run"] == 0


@pytest.mark.slow
def test_switching_one_backend_runs_only_what_depends_on_it(corpus: Path) -> None:
    def run(*assignments: str) -> list[dict[str, Any]]:
        config = small_config(*SMALL, f"prepare.weights={corpus / 'weights'}", *assignments)
        prepare(
            str(corpus / "clips"),
            str(corpus / "switched"),
            config=config,
            options=options(corpus, limit=1),
            console=Console(json_only=True),
        )
        return rows(corpus / "switched")

    lenient = ("prepare.select.min_person_share=null", "prepare.select.min_pose_confidence=null")
    (before,) = run(*lenient)
    (after,) = run(*lenient, "prepare.object_masks.backend=sam2", "prepare.object_masks.model=sam2.1-hiera-large")
    changed = {name for name, key in after["stage_keys"].items() if key != before["stage_keys"].get(name)}
    assert changed == {"object_masks"}
    # `select` runs again for a rejected clip, which reads its quality columns only.
    assert after["seconds_by_stage"].keys() - {"select"} == {"decode", "object_masks"}
    assert after["keypoints"] == before["keypoints"]
