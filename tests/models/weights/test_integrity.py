from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models.weights.integrity import integrity_error


def test_intact_files_have_no_integrity_error(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(3, 4), "b": torch.ones(2)}, tmp_path / "a.safetensors")
    torch.save({"a": torch.zeros(3)}, tmp_path / "a.pth")
    torch.save({"a": torch.zeros(3)}, tmp_path / "old.ckpt", _use_new_zipfile_serialization=False)
    (tmp_path / "config.json").write_text(json.dumps({"a": 1}))
    (tmp_path / "merges.txt").write_text("a b\n")
    assert {path.name: integrity_error(path) for path in tmp_path.iterdir() if integrity_error(path)} == {}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.onnx", b"", "is empty"),
        ("a.onnx", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "is a Git LFS pointer"),
        ("a.pth", b"<!DOCTYPE html><html>Please log in</html>", "is a web page"),
        ("a.pt2", b"PK\x03\x04" + bytes(500), "is truncated, or not a PyTorch file"),
        ("a.safetensors", b"12", "is truncated, or not a safetensors file"),
        ("a.safetensors", (2**40).to_bytes(8, "little") + b"{}", "is truncated, or not a safetensors file"),
        ("a.safetensors", (4).to_bytes(8, "little") + b"nope", "has a damaged safetensors header"),
        ("a.safetensors", (2).to_bytes(8, "little") + b"[]", "has a damaged safetensors header"),
        ("config.json", b"{", "is damaged: it is not valid JSON"),
    ],
)
def test_damage_is_described(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert message in str(integrity_error(tmp_path / name))


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_truncation_at_any_length_is_detected(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    tensors = {"a": torch.zeros(30, 40)}
    save_file(tensors, path) if suffix == "safetensors" else torch.save(tensors, path)
    content = path.read_bytes()
    for keep in range(0, len(content), 97):
        path.write_bytes(content[:keep])
        assert integrity_error(path)
