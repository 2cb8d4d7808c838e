import os
from pathlib import Path

import fsspec
import pytest

from stages.io.storage import VIDEOS, Storage


@pytest.fixture(params=["local", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """Storage on a local disk, and in memory as a stand-in for an object store."""
    fsspec.filesystem("memory").store.clear()
    return Storage(str(tmp_path) if request.param == "local" else "memory://bucket/out")


def test_what_is_published_is_there_whole_and_replaced_whole(storage: Storage) -> None:
    storage.publish("a/b.parquet", b"1")
    storage.publish("a/b.parquet", b"22")
    storage.publish("a/.hidden", b"")
    assert storage.read("a/b.parquet") == b"22"
    assert storage.names("a", ".parquet") == ["a/b.parquet"]
    assert storage.names("nowhere") == []
    assert storage.exists("a/b.parquet")
    storage.delete("a/b.parquet")
    storage.delete("a/b.parquet")
    assert not storage.exists("a/b.parquet")


def test_a_refused_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage(str(tmp_path))
    storage.publish("row", b"old")

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        storage.publish("row", b"new")
    assert storage.read("row") == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["row"]


def test_leftovers_of_killed_writers_are_swept(tmp_path: Path) -> None:
    leftovers = [tmp_path / folder / ".k.0123.tmp" for folder in ("_parts", VIDEOS)]
    for leftover in leftovers:
        leftover.parent.mkdir()
        leftover.write_bytes(b"half")
    Storage(str(tmp_path)).sweep_temporaries()
    assert not any(leftover.exists() for leftover in leftovers)


def test_a_storage_travels_to_other_processes() -> None:
    import pickle

    storage = pickle.loads(pickle.dumps(Storage("memory://bucket/out")))
    assert (storage.url, storage.root) == ("memory:///bucket/out", "/bucket/out")
    assert isinstance(storage.names(), list)


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/etc/passwd", "a\0"])
def test_names_stay_inside_the_root(tmp_path: Path, name: str) -> None:
    storage = Storage(str(tmp_path / "root"))
    for use in (storage.read, storage.exists, storage.delete, lambda name: storage.publish(name, b"x")):
        with pytest.raises(PermissionError, match="is not the name of a file in"):
            use(name)
