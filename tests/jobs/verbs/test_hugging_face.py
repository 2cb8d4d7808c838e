"""Datasets in the hands of Hugging Face `datasets`, by folder and by files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from old_datasets import as_version_1
from small_jobs import Corpus, options, small_config

from jobs.engine.console import Console
from jobs.verbs.maintenance import compact
from jobs.verbs.prepare import prepare


@pytest.fixture
def datasets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in ("HF_DATASETS_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return pytest.importorskip("datasets")


@pytest.mark.parametrize(("name", "id_column"), [("videos", "video_id"), ("clips", "clip_id"), ("prepared", "clip_id")])
def test_load_dataset_opens_folder_and_files(
    corpus: Corpus, datasets, tmp_path: Path, name: str, id_column: str
) -> None:
    folder = corpus.root / name
    files = [str(path) for path in sorted(folder.glob("rows-*.parquet"))]
    by_folder = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    by_files = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert by_folder[id_column] == by_files[id_column]
    assert len(by_folder) >= 3
    if name == "prepared":
        first = by_folder[0]
        assert {entry["name"] for entry in first["stage_keys"]} >= {"decode", "pose"}
        assert len(first["keypoints"]) == first["num_frames"]


def test_a_dataset_of_version_1_opens_after_compaction_and_is_not_made_anew(
    corpus: Corpus, datasets, tmp_path: Path
) -> None:
    old = tmp_path / "prepared"
    shutil.copytree(corpus.dataset, old)
    (old / ".huggingface.yaml").unlink()
    for path in old.glob("rows-*.parquet"):
        as_version_1(path)
    result = compact(str(old), console=Console(json_only=True))
    assert result.summary["rows"] == 0
    again = prepare(
        str(corpus.clips), str(old), config=small_config(), options=options(tmp_path), console=Console(json_only=True)
    )
    assert (again.exit_code, again.summary["rows_run"]) == (0, 0)
    loaded = datasets.load_dataset(str(old), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(loaded) == corpus.prepared.summary["rows"]
