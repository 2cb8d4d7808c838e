from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.engine.ledger import Ledger
from pipelines.engine.manifest import ManifestError
from pipelines.engine.schema import CLIP_COLUMNS, dataset_schema
from pipelines.engine.sources import SOURCE_COLUMNS
from pipelines.ingest import WRITTEN, write_clips
from pipelines.prompts import PromptsConfig
from stages.io.storage import Storage

SCHEMA = dataset_schema("ingest", pa.schema(list(SOURCE_COLUMNS.items())), WRITTEN)


def videos(root: Path, *, shots: dict[str, list[float]] | None = None, **status: str) -> Ledger:
    """Ledger of videos of 2 s at 10 frames per second, with two windows of 1 s each."""
    ledger = Ledger(Storage(str(root / "videos")), "video_id")
    windows = [{"start_seconds": float(start), "num_frames": 10, "frame_step": 1} for start in (0, 1)]
    for name in ("a", "b"):
        facts = {"width_px": 64, "height_px": 48, "fps": 10.0, "size_bytes": 5, "fingerprint": f"sha256:{name}"}
        row = {"video_id": name, "uri": f"{root}/{name}.mp4", "windows": windows, "work_key": name, **facts}
        row |= shots or {}
        ledger.commit({**row, "status": status.get(name, "ok"), "committed_at": datetime.now(UTC)}, SCHEMA)
    ledger.compact()
    return ledger


def clips(root: Path) -> dict[str, dict[str, Any]]:
    table = pq.read_table(root / "clips")
    assert table.schema.types == list(CLIP_COLUMNS.values())
    return {row["clip_id"]: row for row in table.to_pylist()}


def test_every_window_of_a_sound_video_is_a_clip(tmp_path: Path) -> None:
    written = write_clips(videos(tmp_path, b="rejected"), Storage(str(tmp_path / "clips")), None)
    clip_rows = clips(tmp_path)
    assert written.num_clips == 2
    assert list(clip_rows) == ["a.00000", "a.00001"]
    assert clip_rows["a.00001"]["start_seconds"] == 1.0
    assert clip_rows["a.00001"]["objects"] == []


def test_a_prompt_goes_to_the_clip_that_spans_its_time(tmp_path: Path) -> None:
    prompts = {
        "video_id": ["a", None, "a", "nobody"],
        "uri": [None, "b.mp4", None, None],  # relative to the table
        "object_id": ["ball", "book", "late", "lost"],
        "seconds": [0.5, 1.0, 2.0, 0.0],
        "box": [[1.0, 2.0, 3.0, 4.0]] * 4,
    }
    pq.write_table(pa.table(prompts), tmp_path / "objects.parquet")
    written = write_clips(videos(tmp_path), Storage(str(tmp_path / "clips")), str(tmp_path / "objects.parquet"))
    objects_by_clip = {
        name: [prompt["object_id"] for prompt in row["objects"]] for name, row in clips(tmp_path).items()
    }
    assert objects_by_clip == {"a.00000": ["ball"], "a.00001": [], "b.00000": [], "b.00001": ["book"]}
    assert (written.num_prompts, written.num_prompts_unused) == (4, 2)


def test_a_prompt_goes_to_all_clips_of_its_shot(tmp_path: Path) -> None:
    prompts = {
        "video_id": ["a", "a", "b", "b"],
        "object_id": ["ball", "book", "ball", "lost"],
        "seconds": [0.5, 2.1, 1.9, 2.3],
        "box": [[1.0, 2.0, 3.0, 4.0]] * 4,
    }
    pq.write_table(pa.table(prompts), tmp_path / "objects.parquet")
    ledger = videos(tmp_path, shots={"shot_starts_seconds": [0.0], "shot_ends_seconds": [2.2]})
    storage, url = Storage(str(tmp_path / "clips")), str(tmp_path / "objects.parquet")
    written = write_clips(ledger, storage, url)
    rows = clips(tmp_path)
    assert {name: [prompt["object_id"] for prompt in row["objects"]] for name, row in rows.items()} == {
        "a.00000": ["ball", "book"],
        "a.00001": ["ball", "book"],
        "b.00000": ["ball"],
        "b.00001": ["ball"],
    }
    assert {(row["shot_start_seconds"], row["shot_end_seconds"]) for row in rows.values()} == {(0.0, 2.2)}
    assert (written.num_prompts, written.num_prompts_unused, written.num_too_distant) == (4, 1, 0)
    near = write_clips(ledger, storage, url, PromptsConfig(max_distance_seconds=0.6))
    assert [len(row["objects"]) for row in clips(tmp_path).values()] == [1, 2, 0, 1]
    assert (near.num_prompts_unused, near.num_too_distant) == (1, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"box": [[3.0, 2.0, 1.0, 4.0]]}, "the prompt of object 'ball' has a box without x0 < x1, y0 < y1"),
        ({"box": [[1.0, 2.0]]}, "a box without x0 < x1"),
        ({"box": [None]}, "neither box nor points"),
        ({"video_id": [None]}, "neither video_id nor uri"),
        ({"seconds": [float("nan")]}, "a time that is not a number"),
        ({"seconds": ["soon"]}, "column 'seconds' holds 'soon', expected DOUBLE"),
        ({"object_id": [None]}, "a row has no object_id"),
    ],
)
def test_a_prompt_that_cannot_be_used_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    prompt = {"video_id": ["a"], "object_id": ["ball"], "seconds": [0.5], "box": [[1.0, 2.0, 3.0, 4.0]]}
    pq.write_table(pa.table({**prompt, **change}), tmp_path / "objects.parquet")
    with pytest.raises(ManifestError) as caught:
        write_clips(videos(tmp_path), Storage(str(tmp_path / "clips")), str(tmp_path / "objects.parquet"))
    assert message in str(caught.value)


def test_clips_follow_the_videos(tmp_path: Path) -> None:
    """Rewritten after a change, clips equal those written from scratch; files without videos are deleted."""
    ledger, storage = videos(tmp_path), Storage(str(tmp_path / "clips"))
    write_clips(ledger, storage, None)
    first = clips(tmp_path)
    storage.publish("rows-000007.parquet", ledger.storage.read(ledger.data_names()[0]))
    write_clips(ledger, storage, None)
    assert clips(tmp_path) == first
