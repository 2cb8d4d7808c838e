"""Damaged and hostile weight files: one CheckpointError, in one line, without running code or filling memory."""

from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from models.common.checkpoint import read_tensors
from models.common.digest import CheckpointError
from models.common.safetensors_file import read_metadata
from models.perception.onnx_session import OnnxNetwork
from models.perception.torchscript import load_torchscript
from models.weights.integrity import integrity_error

Write = Callable[[Path], object]
GOOD = {"a.weight": torch.arange(12.0).reshape(3, 4), "b": torch.ones(5)}
ROOT = Path(__file__).resolve().parents[3]


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, ran: Path) -> None:
        self.ran = ran

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.ran,)


def saved(make: Callable[[Path], Any], **how: Any) -> Write:
    return lambda path: torch.save(make(path.with_name("ran")), path, **how)


def content(data: bytes) -> Write:
    return lambda path: path.write_bytes(data)


def cut(keep: int) -> Write:
    def write(path: Path) -> None:
        torch.save(GOOD, path)
        path.write_bytes(path.read_bytes()[:keep])

    return write


def archive(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Write:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", compression) as file:
            for name, data in entries.items():
                file.writestr(name, data)

    return write


def overlapping(path: Path) -> None:
    """Entries of the directory that claim more bytes than the file has."""
    torch.save(GOOD, path)
    with zipfile.ZipFile(path) as file:
        entry = file.getinfo(next(name for name in file.namelist() if name.endswith("/data/0")))
    size, huge = struct.pack("<I", entry.file_size), struct.pack("<I", 2**31)
    data = path.read_bytes()
    at = data.rindex(entry.filename.encode()) - 46 + 20  # sizes of the entry in the central directory
    assert data[at : at + 8] == size * 2
    path.write_bytes(data[:at] + huge * 2 + data[at + 8 :])


def script(path: Path) -> None:
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))


def quantized() -> torch.Tensor:
    return torch._empty_affine_quantized([2], scale=0.1, zero_point=0, dtype=torch.qint8)  # type: ignore[call-overload]  # stub without scale


TORCH_FILES: dict[str, Write] = {
    "code": saved(Evil),
    "code in a state dict": saved(lambda ran: {"state_dict": {"a": Evil(ran)}}),
    "code after tensors": saved(lambda ran: [GOOD, Evil(ran)]),
    "code in the former format": saved(lambda ran: {"a": Evil(ran)}, _use_new_zipfile_serialization=False),
    "a plain pickle": lambda path: path.write_bytes(pickle.dumps(Evil(path.with_name("ran")), protocol=2)),
    "an archive without tensors": lambda path: archive(
        {"a/data.pkl": pickle.dumps(Evil(path.with_name("ran"))), "a/version": b"3\n"}
    )(path),
    "a path out of the archive": archive({"../../slip": b"x", "a/data.pkl": b"\x80\x02}q\x00.", "a/version": b"3\n"}),
    "compressed": archive({"a/data.pkl": bytes(30_000_000), "a/version": b"3\n"}, zipfile.ZIP_DEFLATED),
    "entries larger than the file": overlapping,
    "TorchScript": script,
    "half": cut(400),
    "one byte short": cut(-1),
    "empty": content(b""),
    "a web page": content(b"<!doctype html>"),
    "numbers": saved(lambda _: {"a": 1}),
    "a list": saved(lambda _: [1, 2]),
    "nothing": saved(lambda _: None),
    "a module": saved(lambda _: torch.nn.Linear(2, 2)),
    "numpy": saved(lambda _: {"a": np.ones(3)}),
    "a name twice": saved(lambda _: {"module.a": torch.ones(1), "a": torch.zeros(1)}),
    "sparse": saved(lambda _: {"a": torch.eye(3).to_sparse()}),
    "quantized": saved(lambda _: {"a": quantized()}),
    "complex": saved(lambda _: {"a": torch.ones(2, dtype=torch.complex64)}),
    "an unfolded view": saved(lambda _: {"a": torch.ones(1).expand(10**12)}),
    "without data": saved(lambda _: {"a": torch.empty(10**12, device="meta")}),
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
}


def safetensors(header: object, body: bytes = b"", length: int | None = None) -> Write:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return content(struct.pack("<Q", len(text) if length is None else length) + text + body)


def one(**changes: object) -> dict[str, object]:
    return {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **changes}}


SAFETENSORS_FILES: dict[str, Write] = {
    "length of 2^64": safetensors(b"{}", length=2**64 - 1),
    "length beyond the file": safetensors(b"{}", length=100_000_001),
    "no JSON": safetensors(b"not json at all"),
    "deep JSON": safetensors(b'{"a":' * 20_000 + b"1" + b"}" * 20_000),
    "a list": safetensors([1]),
    "overflow": safetensors(one(shape=[2**62, 4], data_offsets=[0, 2**63]), bytes(16)),
    "more than the file has": safetensors(one(shape=[4], data_offsets=[0, 16]), bytes(4)),
    "overlap": safetensors(
        {**one(shape=[2], data_offsets=[0, 8]), "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}, bytes(12)
    ),
    "a hole": safetensors(one(data_offsets=[8, 12]), bytes(12)),
    "bytes after the tensors": safetensors(one(), bytes(9)),
    "negative shape": safetensors(one(shape=[-1]), bytes(4)),
    "true as a shape": safetensors(one(shape=[True]), bytes(4)),
    "another shape": safetensors(one(shape=[3]), bytes(4)),
    "unknown dtype": safetensors(one(dtype="X99"), bytes(4)),
    "another dtype": safetensors(one(dtype="F64"), bytes(4)),
    "no offsets": safetensors(one(data_offsets=[]), bytes(4)),
    "offsets of other types": safetensors(one(data_offsets=[0, 4.5]), bytes(4)),
    "a name twice": safetensors(b'{"a":1,"a":1}', bytes(4)),
    "metadata of another type": safetensors({"__metadata__": {"zoetrope": 5}, **one()}, bytes(4)),
    "a Git LFS pointer": content(b"version https://git-lfs.github.com/spec/v1\noid sha256:x\nsize 1\n"),
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
}


def refused(call: Callable[[Path], object], path: Path) -> None:
    with pytest.raises(CheckpointError) as raised:
        call(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "weights_only" not in str(raised.value)
    assert not path.with_name("ran").exists()
    assert not (path.parent.parent.parent / "slip").exists()


@pytest.mark.parametrize("write", TORCH_FILES.values(), ids=TORCH_FILES)
def test_torch_files_are_refused(write: Write, tmp_path: Path) -> None:
    path = tmp_path / "file.pth"
    write(path)
    refused(read_tensors, path)


@pytest.mark.parametrize("write", SAFETENSORS_FILES.values(), ids=SAFETENSORS_FILES)
def test_safetensors_are_refused_and_found_damaged(write: Write, tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    write(path)
    refused(read_tensors, path)
    refused(read_metadata, path)
    assert integrity_error(path)


@pytest.mark.parametrize("text", ["{not json", "[1]", "[" * 50_000, "null"])
def test_metadata_that_are_no_object_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={"zoetrope": text})
    assert read_tensors(path).keys() == {"a"}
    refused(read_metadata, path)


@pytest.mark.parametrize("data", [b"", b"\x00\x01garbage", b"PK\x03\x04" + bytes(500), b"\x80\x02}q\x00."])
def test_other_formats_are_refused_without_a_traceback(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(data)
    refused(lambda path: load_torchscript(path, allowed=True), path)
    refused(lambda path: load_torchscript(path, allowed=False), path)
    refused(lambda path: OnnxNetwork(path, input_shape=(3, 4, 4), output_shapes=[(2,)]), path)


@pytest.fixture(scope="module", params=["safetensors", "pth", "former.pth"])
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / f"file.{request.param}"
    if path.suffix == ".safetensors":
        save_file(GOOD, path)
    else:
        torch.save(GOOD, path, _use_new_zipfile_serialization="former" not in path.name)
    return path


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_bytes_give_tensors_or_one_error(sound: Path, tmp_path: Path, data: st.DataObject) -> None:
    changed = bytearray(sound.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed) - 1))
        replacement = data.draw(st.binary(max_size=4))
        changed[at : at + data.draw(st.integers(0, 8))] = replacement
    path = tmp_path / sound.name
    path.write_bytes(changed)
    try:
        tensors = read_tensors(path)
    except CheckpointError:
        return
    assert sum(tensor.nbytes for tensor in tensors.values()) <= len(changed)


def test_claims_of_a_terabyte_allocate_nothing(tmp_path: Path) -> None:
    """In a process whose address space has room for torch and little more."""
    for name, files in (("pth", TORCH_FILES), ("safetensors", SAFETENSORS_FILES)):
        for index, key in enumerate(("an unfolded view", "without data", "compressed", "overflow", "length of 2^64")):
            if key in files:
                files[key](tmp_path / f"{index}.{name}")
    code = """
import resource, sys
from pathlib import Path
from models.common.checkpoint import read_tensors
from models.common.digest import CheckpointError
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 100_000_000,) * 2)
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        read_tensors(path)
    except CheckpointError as error:
        print(path.name, "memory" in str(error).lower())
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [part for path in sorted(tmp_path.iterdir()) for part in (path.name, "False")], (
        done.stdout
    )
