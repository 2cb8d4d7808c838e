from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from models.common.checkpoint import load_checkpoint, save_checkpoint
from models.common.digest import CheckpointError, file_digest
from models.common.safetensors_file import read_metadata


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, ran: Path) -> None:
        self.ran = ran

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.ran,)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "net.safetensors"
    save_checkpoint(network().state_dict(), path, metadata={"steps": 3, "shape": {"widths": [1, 2]}})
    return path


def test_what_is_saved_is_what_is_loaded(path: Path) -> None:
    torch.manual_seed(1)
    other = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
    load_checkpoint(other, path)
    for key, value in network().state_dict().items():
        assert torch.equal(other.state_dict()[key], value), key
    assert read_metadata(path) == {"steps": 3, "shape": {"widths": [1, 2]}}
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_half_precision_storage_loads_into_single_precision(tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    save_checkpoint(network().state_dict(), path, metadata={}, float_dtype=torch.float16)
    loaded = network()
    load_checkpoint(loaded, path)
    assert loaded[0].weight.dtype == torch.float32
    assert torch.equal(loaded[0].weight, network()[0].weight.half().float())
    assert loaded[1].num_batches_tracked.dtype == torch.int64


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("2.bias"), "1 missing (2.bias)"),
        (lambda t: t.update({"3.extra": torch.zeros(1)}), "1 unexpected (3.extra)"),
        (
            lambda t: t.update({"0.weight": torch.zeros(4, 3, 1, 1)}),
            "1 misshapen (0.weight (4, 3, 1, 1) instead of (4, 3, 3, 3))",
        ),
        (
            lambda t: t.update({f"x{i}": torch.zeros(1) for i in range(7)}),
            "7 unexpected (x0, x1, x2, x3, x4 and 2 more)",
        ),
    ],
)
def test_every_wrong_key_is_named_and_nothing_is_loaded(tmp_path: Path, change, words: str) -> None:
    tensors = {key: torch.zeros_like(value) for key, value in network().state_dict().items()}
    change(tensors)
    path = tmp_path / "wrong.safetensors"
    save_file(tensors, path, metadata={"zoetrope": "{}"})
    target = network()
    with pytest.raises(CheckpointError) as raised:
        load_checkpoint(target, path)
    assert words in str(raised.value)
    assert str(path) in str(raised.value)
    for key, value in network().state_dict().items():
        assert torch.equal(target.state_dict()[key], value), key


@pytest.mark.parametrize("keep", [0, 4, 40, -1, -200])
def test_truncated_file_is_refused(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="cannot read the checkpoint"):
        load_checkpoint(network(), path)
    with pytest.raises(CheckpointError, match="cannot read the checkpoint"):
        read_metadata(path)


def test_files_with_code_in_them_and_absent_files_are_refused(tmp_path: Path) -> None:
    hostile, ran = tmp_path / "net.pt", tmp_path / "ran"
    torch.save({"weight": Hostile(ran)}, hostile)
    for path in (hostile, tmp_path / "absent.safetensors"):
        with pytest.raises(CheckpointError, match="cannot read the checkpoint"):
            load_checkpoint(network(), path)
    assert not ran.exists()
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        file_digest(tmp_path / "absent.safetensors")


def test_foreign_safetensors_file_has_no_metadata_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="not written by this project"):
        read_metadata(path)


def test_digest_is_of_the_content_and_follows_it(path: Path) -> None:
    assert file_digest(path) == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    first = file_digest(path)
    path.write_bytes(path.read_bytes() + b"x")
    assert file_digest(path) != first
